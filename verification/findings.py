"""What is notable in a campaign, counted: how many runs show each pattern, and which to read."""

from __future__ import annotations

from typing import get_args

from harness.records import SignalName, Started
from verification.detectors import blind_to, detectors
from verification.evidence import Evidence
from verification.exhibit import Column, Exhibit, Link

NOTE = (
    "Runs in which the harness noted it, or a detector saw it; docs/detectors.md says how far "
    "each is to be trusted. All of them with turn and line are in verification/findings.csv."
)


def patterns() -> list[str]:
    """The names of all that is looked for, by the harness or by a detector."""
    return sorted({*get_args(SignalName), *detectors()})


def not_looked_for(header: Started) -> dict[str, str]:
    """The patterns that could not be found in a run with this header, whatever happened in it,
    each with why."""
    unseen = blind_to(header)
    if header.model.kind == "imported":
        for name in set(get_args(SignalName)) - detectors().keys():
            unseen[name] = "our harness notes it while it plays, and another program played"
    return unseen


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
