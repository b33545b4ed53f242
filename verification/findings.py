"""What is notable in a campaign, counted: how many runs show each pattern, and which to read."""

from __future__ import annotations

from verification.evidence import Evidence
from verification.exhibit import Column, Exhibit, Link

NOTE = (
    "Runs in which the harness noted it, or a detector saw it; docs/detectors.md says how far "
    "each is to be trusted. All of them with turn and line are in verification/findings.csv."
)


def exhibit(evidence: Evidence) -> Exhibit:
    """A row per pattern and model: runs that show it, of the model's runs, and the first of them.
    Patterns that no run shows have no row."""
    played = evidence.runs["model"].value_counts()
    rows = []
    for (name, model), found in evidence.findings.groupby(["name", "model"]):
        first = found.iloc[0]
        place = f"data/transcripts/{first['run']}.jsonl#turn={first['turn']}"
        rows.append(
            (
                str(name),
                str(model),
                f"{found['run'].nunique()} of {played[str(model)]}",
                Link(f"{first['run'][:8]}, turn {first['turn']}", place),
            )
        )
    columns = (Column("finding"), Column("model"), Column("runs", figures=True), Column("first"))
    notes = (NOTE,) if rows else ("Neither the harness nor a detector saw anything notable.",)
    return Exhibit("Findings", columns, rows, notes)
