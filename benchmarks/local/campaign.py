"""The same campaign, played in several ways: by the kind ``llama_cpp``, exact and in batches, by
the kind ``llama_server``, and by Inspect AI on a server like that one's.

All have the same processor cores, file, chat template, prompts, tools, budgets and number of runs
at once, and draw greedily, so that they draw about the same tokens. Where they are not alike: the
server decodes runs together, keeps prefixes and uses flash attention as it likes, as its users
have it, and parses calls itself. The harness writes transcripts, runs real tools in its sandbox
and grades; Inspect's tools answer nothing, and nobody grades. Seconds are those of the whole
command, with Python's start and the model's; Inspect's server has started before.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.local.peer import Job, Played, Sample
from benchmarks.local.subject import Subject
from benchmarks.local.watch import memory, run
from harness.records import EVENT, Event, Prompt, Reply, Started
from tests.llama_server import LlamaServer, llama_server

AT_ONCE = 8
N_CTX = 2048
TURNS = 6

CAMPAIGN = """\
suite = "first-steps-v1"
runs_per_task = {runs}
seed = 7
[budgets]
turns = {turns}
tokens_per_turn = {tokens}
[infrastructure]
concurrency = {at_once}
[[models]]
name = "m"
sampling = {{ temperature = 0 }}
"""


@dataclass(frozen=True)
class Size:
    """How much is played."""

    runs_per_task: int
    tokens_per_turn: int


@dataclass(frozen=True)
class Row:
    """A way to play: seconds, the most bytes held (its server's with it), and what was played."""

    seconds: float
    memory: int
    played: Played
    cold_start: str = ""

    def __str__(self) -> str:
        played, seconds = self.played, self.seconds
        return (
            f"{seconds:9.1f}{played.runs / seconds:8.2f}{played.replies / played.runs:8.2f}"
            f"{played.output_tokens:8}{played.output_tokens / seconds:8.1f}"
            f"{self.cold_start[:4] or '-':>8}{self.memory / 1e6:9.0f}"
        )


def main(subject: Subject, size: Size) -> None:
    """Print a row for each way."""
    cores = psutil.cpu_count(logical=False) or 1
    local: dict[str, object] = {
        "kind": "llama_cpp",
        "path": str(subject.path),
        "dialect": "hermes",
        "n_ctx": N_CTX,
    }
    local["template"] = subject.settings("hermes").template or ""
    print(
        f"first-steps-v1 by {subject.title}: {size.runs_per_task} runs a task of at most "
        f"{size.tokens_per_turn} tokens a turn, {AT_ONCE} at once, {cores} cores"
    )
    columns = ("seconds", "runs/s", "turns", "drawn", "drawn/s", "cold s", "peak MB")
    print(
        f"{'':34}"
        + "".join(f"{name:>{9 if name in ('seconds', 'peak MB') else 8}}" for name in columns)
    )
    exact = _play(subject.folder / "exact", {**local, "workers": cores}, size)
    _say(f"llama_cpp, exact, {cores} workers", exact)
    batch = max(1, AT_ONCE // cores)
    together = {**local, "workers": cores, "batch": batch}
    _say(
        f"llama_cpp, batch = {batch}, {cores} workers",
        _play(subject.folder / "batch", together, size),
    )
    keys = {"kind": "llama_server", "threads": cores, "parallel": AT_ONCE, "n_gpu_layers": 0}
    served = {name: local[name] for name in ("path", "template", "n_ctx")} | keys
    _say("llama_server", _play(subject.folder / "served", served, size))
    with llama_server(subject.path, n_ctx=N_CTX, slots=AT_ONCE, threads=cores) as server:
        _say("Inspect AI, on such a server", _inspect(subject.folder, size, server))


def _say(name: str, row: Row) -> None:
    print(f"  {name:32}{row}", flush=True)


def _play(folder: Path, model: Mapping[str, object], size: Size) -> Row:
    """Play the campaign with ``fairtrial run``; nothing is tried out first, as Inspect does not."""
    folder.mkdir()
    text = CAMPAIGN.format(
        runs=size.runs_per_task, turns=TURNS, tokens=size.tokens_per_turn, at_once=AT_ONCE
    )
    keys = [
        f"{key} = {value if isinstance(value, int) else json.dumps(str(value))}"
        for key, value in model.items()
    ]
    (folder / "campaign.toml").write_text(text + "\n".join(keys) + "\n", encoding="utf-8")
    seconds, most = run(
        [sys.executable, "-m", "harness", "run", "--skip-preflight", str(folder)], folder
    )
    events = [event for each in _transcripts(folder) for event in each]
    replies = [event for event in events if isinstance(event, Reply)]
    played = Played(
        runs=sum(isinstance(event, Started) for event in events),
        replies=len(replies),
        output_tokens=sum(reply.usage.output or 0 for reply in replies),
    )
    with (folder / "verification" / "inference.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return Row(seconds, most, played, row["cold_start_seconds"])


def _inspect(folder: Path, size: Size, server: LlamaServer) -> Row:
    """Have Inspect play the prompts that the first campaign's transcripts hold."""
    (folder / "inspect").mkdir()
    job = Job(
        base_url=server.base_url,
        model="smollm2",
        samples=tuple(_samples(folder / "exact")),
        runs_per_task=size.runs_per_task,
        connections=AT_ONCE,
        turns=TURNS,
        tokens_per_turn=size.tokens_per_turn,
        logs=folder / "inspect" / "logs",
    )
    path = folder / "inspect" / "job.json"
    path.write_text(job.model_dump_json(), encoding="utf-8")
    seconds, most = run([sys.executable, "-m", "benchmarks.local.peer", str(path)], path.parent)
    output = (path.parent / "output.txt").read_text(encoding="utf-8")
    most += memory(psutil.Process(server.process.pid))
    return Row(seconds, most, Played.model_validate_json(output.splitlines()[-1]))


def _samples(folder: Path) -> list[Sample]:
    """What each task asked, in its first repetition."""
    samples = []
    for started, *events in _transcripts(folder):
        assert isinstance(started, Started)
        if started.repetition == 1:
            said = {event.role: event.content for event in events if isinstance(event, Prompt)}
            samples.append(Sample(task=started.task, tools=started.tools, **said))
    return samples


def _transcripts(folder: Path) -> list[list[Event]]:
    return [
        [EVENT.validate_json(line) for line in path.read_bytes().splitlines()]
        for path in sorted((folder / "data" / "transcripts").glob("*.jsonl"))
    ]
