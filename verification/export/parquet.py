"""A campaign as Parquet: ``runs`` and ``findings`` as in the CSVs of those names, and the two
tables that are too long for CSVs, ``turns`` and ``tool_calls``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.store import CampaignFolder
from verification import tables
from verification.episode import Episode, Turn, episodes
from verification.evidence import Evidence

ROWS_AT_ONCE = 1_000
"""Rows of a row group: what is held before it is written."""

Row = dict[str, Any]

RUN = {"model": "string", "task": "string", "repetition": "int64", "run": "string"}
TURNS = {
    **RUN,
    "turn": "int64",
    "text": "string",
    "reasoning": "string",
    "finish_reason": "string",
    "tool_calls": "int64",
    "tokens_input": "int64",
    "tokens_cached": "int64",
    "tokens_output": "int64",
    "first_token_seconds": "float64",
    "model_seconds": "float64",
    "waited_seconds": "float64",
    "malformed": "string",
    "raw": "string",
}
TOOL_CALLS = {
    **RUN,
    "turn": "int64",
    "call": "int64",
    "call_id": "string",
    "name": "string",
    "arguments": "string",
    "content": "string",
    "ok": "bool",
    "seconds": "float64",
}


def write(folder: CampaignFolder, evidence: Evidence, out: Path) -> None:
    """Write the four tables. The two long ones are read and written run by run."""
    for name, frame in (("runs", tables.runs(evidence)), ("findings", tables.findings(evidence))):
        table = pa.Table.from_pandas(frame, schema=_schema_of(frame), preserve_index=False)
        pq.write_table(table, out / f"{name}.parquet")
    long: tuple[tuple[str, dict[str, str], Callable[[Episode], Iterable[Row]]], ...] = (
        ("turns", TURNS, turns),
        ("tool_calls", TOOL_CALLS, tool_calls),
    )
    for name, columns, rows in long:
        schema = pa.schema([(column, pa.type_for_alias(of)) for column, of in columns.items()])
        every = (row for episode in episodes(folder, evidence) for row in rows(episode))
        with pq.ParquetWriter(out / f"{name}.parquet", schema) as file:
            for batch in _batches(every):
                file.write_table(pa.Table.from_pylist(batch, schema=schema))


def turns(episode: Episode) -> Iterator[Row]:
    """A row per reply. ``call`` and ``turn`` count from 1."""
    for turn in _turns(episode):
        reply, usage = turn.reply, turn.reply.usage
        yield {
            **_run(episode),
            **reply.model_dump(include=TURNS.keys() - {"tool_calls"}),
            "tool_calls": len(reply.tool_calls),
            "tokens_input": usage.input,
            "tokens_cached": usage.cached,
            "tokens_output": usage.output,
        }


def tool_calls(episode: Episode) -> Iterator[Row]:
    """A row per call, with what the tool answered; null where the run ended before it did."""
    for turn in _turns(episode):
        made = () if turn.recovered else turn.calls
        for number, (call, result) in enumerate(made, start=1):
            answer = result.model_dump(include={"content", "ok", "seconds"}) if result else {}
            yield {
                **_run(episode),
                "turn": turn.reply.turn,
                "call": number,
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                **answer,
            }


def _turns(episode: Episode) -> Iterator[Turn]:
    return (part for part in episode.story() if isinstance(part, Turn))


def _run(episode: Episode) -> Row:
    started = episode.started
    return {
        "model": started.model.name,
        "task": started.task,
        "repetition": started.repetition,
        "run": started.run,
    }


def _schema_of(frame: pd.DataFrame) -> pa.Schema:
    """The types of a table of the evidence. They follow from its columns alone: one that is
    unknown in every row is text or a number all the same."""

    def type_of(column: pd.Series[Any]) -> pa.DataType:
        if pd.api.types.is_integer_dtype(column):
            return pa.int64()
        return pa.float64() if pd.api.types.is_numeric_dtype(column) else pa.string()

    return pa.schema([(str(name), type_of(frame[name])) for name in frame.columns])


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
