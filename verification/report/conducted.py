"""What was run, and on what: from the headers of the transcripts and from the manifest.

What a transcript's header says is taken from there, for it is what that run was played with; only
what no header holds (hardware, the suite's digest and certificate, the preflight) comes from the
manifest. Where runs differ among themselves, every value is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.records import ModelRecord, Price, Sampling, Started
from harness.store import CampaignFolder, Manifest, read_transcript
from verification.exhibit import Column, Exhibit
from verification.findings import not_looked_for
from verification.report.document import Paragraph, Section
from verification.show import budget_words

UNKNOWN = "unknown"

Value = object | None

MODEL_FACTS: dict[str, Callable[[ModelRecord], Value]] = {
    "kind": lambda model: model.kind,
    "model file": lambda model: model.observed.get("file"),
    "SHA-256 of the file": lambda model: model.observed.get("sha256"),
    "size of the file": lambda model: _size(model.observed.get("size_bytes")),
    "model, as it names itself": lambda model: (
        model.observed.get("model") or model.settings.get("model")
    ),
    "parameters": lambda model: _count(model.observed.get("parameters")),
    "chat template": lambda model: model.observed.get("template"),
    "SHA-256 of the chat template": lambda model: model.observed.get("template_sha256"),
    "dialect": lambda model: model.observed.get("dialect"),
    "the same again to the bit": lambda model: _again(model.observed),
    "context window": lambda model: _count(model.observed.get("context_window"), "tokens"),
    "engine or client": lambda model: model.observed.get("engine") or model.observed.get("client"),
    "endpoint": lambda model: model.observed.get("base_url"),
    "layers on the GPU": lambda model: model.observed.get("n_gpu_layers"),
    "sampling": lambda model: _sampling(model.sampling),
    "price": lambda model: _price(model.price),
}


@dataclass
class Headers:
    """The distinct values in the first lines of all transcripts; no header is kept."""

    models: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    facts: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)
    task_digests: dict[str, list[str]] = field(default_factory=dict)
    not_looked_for: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By pattern and why: the UUIDs of the runs in which it could not be found."""

    def add(self, started: Started) -> None:
        """Take in one header."""
        model = started.model
        self.kinds[model.name] = model.kind
        of_model = self.models.setdefault(model.name, {})
        for label, fact in MODEL_FACTS.items():
            _note(of_model, label, fact(model))
        for package, version in started.versions.items():
            _note(self.versions, package, version)
        _note(self.task_digests, started.task, started.task_digest)
        for unseen in not_looked_for(started).items():
            self.not_looked_for.setdefault(unseen, set()).add(started.run)
        _note(self.facts, "budgets of a run", budget_words(started.budgets))
        _note(self.facts, "sandbox", _flat(started.sandbox))
        if started.on_leak != "fail":
            _note(self.facts, "replies that leak", f"on_leak = {started.on_leak}; no score moves")
        if started.context_load:
            _note(self.facts, "earlier turns before a task", f"{started.context_load} tokens")
        _note(self.facts, "variants", "published" if started.variant_seed is None else "drawn")


def read_headers(folder: CampaignFolder) -> Headers:
    """What all transcripts of a campaign say of how they were played."""
    headers = Headers()
    for path in folder.transcript_paths():
        first = next(read_transcript(path), None)
        if isinstance(first, Started):
            headers.add(first)
    return headers


def section(headers: Headers, manifest: Manifest | None, plan_facts: dict[str, str]) -> Section:
    """The section on what was run; ``plan_facts`` are what the plan says, in words."""
    blocks = [_campaign(headers, manifest, plan_facts), _models(headers)]
    blocks += [_hardware(manifest), _versions(headers), _tasks(headers)]
    missing = Paragraph(
        "The manifest is missing: hardware, the suite's digest and its certificate are unknown."
    )
    return Section("What was run", "Observed", [*([] if manifest else [missing]), *blocks])


def _campaign(headers: Headers, manifest: Manifest | None, plan_facts: dict[str, str]) -> Exhibit:
    facts = dict(plan_facts)
    facts["SHA-256 of the suite"] = manifest.suite_digest if manifest else UNKNOWN
    if manifest is None:
        facts["certificate of the suite"] = UNKNOWN
    else:
        facts["certificate of the suite"] = manifest.suite_shortcoming or "holds"
        facts["began"] = f"{manifest.started_at:%Y-%m-%d %H:%M} UTC"
        if manifest.note:
            facts["note"] = manifest.note
    facts |= {label: _either(values) for label, values in headers.facts.items()}
    return _table("The campaign", facts)


def _models(headers: Headers) -> Exhibit:
    names = sorted(headers.models)
    rows = [[label, *(_of_model(headers, name, label) for name in names)] for label in MODEL_FACTS]
    return Exhibit("The models, as found", [Column("fact"), *map(Column, names)], rows)


def _of_model(headers: Headers, name: str, label: str) -> str:
    kind, values = headers.kinds[name], headers.models[name][label]
    if kind == "scripted" and label != "kind":
        return "none: a script"
    if kind == "llama_cpp" and label == "endpoint":
        return "none: in this process"
    return _either(values)


def _hardware(manifest: Manifest | None) -> Exhibit:
    facts = {}
    for name, value in (manifest.hardware if manifest else {}).items():
        label = name.removesuffix("_bytes").replace("_", " ")
        facts[label] = (_size(value) if name.endswith("_bytes") else _text(value)) or UNKNOWN
    for model, figures in ((manifest.preflight if manifest else None) or {}).items():
        facts[f"speed of {model}, measured before"] = _flat(figures)
    facts.setdefault("gpu", "not observed")
    return _table("The hardware, as observed", facts)


def _versions(headers: Headers) -> Exhibit:
    facts = {package: _either(values) for package, values in headers.versions.items()}
    return _table("Versions", facts or {"versions": UNKNOWN})


def _tasks(headers: Headers) -> Exhibit:
    facts = {task: _either(headers.task_digests[task]) for task in sorted(headers.task_digests)}
    return Exhibit(
        "The tasks", [Column("task"), Column("SHA-256 over its files")], list(facts.items())
    )


def _table(title: str, facts: dict[str, str]) -> Exhibit:
    return Exhibit(title, [Column("fact"), Column("value")], list(facts.items()))


def _note(values: dict[str, list[str]], label: str, value: Value) -> None:
    """Remember a value that is known, once."""
    text = _text(value)
    known = values.setdefault(label, [])
    if text and text not in known:
        known.append(text)


def _either(values: Iterable[str]) -> str:
    """The value that all runs share; all of them where they differ; ``unknown`` where none is."""
    distinct = sorted(values)
    if len(distinct) > 1:
        return f"differs between runs: {'; '.join(distinct)}"
    return distinct[0] if distinct else UNKNOWN


def _text(value: Value) -> str | None:
    return None if value is None or value == "" else str(value)


def _flat(values: dict[str, Any]) -> str:
    words = (
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
        if value is not None
    )
    return ", ".join(words) or UNKNOWN


def _again(observed: Mapping[str, Any]) -> str | None:
    """Whether the same run gives the same tokens again; None of what no engine of ours played."""
    if (same := observed.get("reproducible")) is None:
        return None
    return "yes" if same else f"not promised: {observed.get('not_reproducible_because')}"


def _size(size: Any) -> str | None:
    if not isinstance(size, int):
        return None
    unit, name = (2**30, "GiB") if size >= 2**30 else (2**20, "MiB")
    return f"{size / unit:.1f} {name} ({size:,} bytes)"


def _count(count: Any, unit: str = "") -> str | None:
    return f"{count:,} {unit}".strip() if isinstance(count, int) else None


def _sampling(sampling: Sampling | None) -> str | None:
    if sampling is None:
        return None
    return ", ".join(f"{name} {value:g}" for name, value in sampling.model_dump().items())


def _price(price: Price | None) -> str | None:
    if price is None:
        return None
    cached = price.input if price.cached is None else price.cached
    return f"${price.input:g} in, ${cached:g} cached, ${price.output:g} out, a million tokens"
