"""A campaign's folder: its tree, and the only code that reads or writes it.

    <campaign>/
      campaign.toml                       what to run, written by hand
      predictions.toml                    what is expected of it, filed by the first run (optional)
      data/
        manifest.json                     what was resolved and observed at the start
        ledger.jsonl                      append-only: every attempt begun and ended, and what
                                          became of each sitting
        log.jsonl                         the program's own log
        lock                              held while a campaign runs
        transcripts/
          <run>.jsonl                     the latest attempt of a run, one event a line
          <run>.attempt-<k>.jsonl         an earlier attempt, kept as it was
      verification/                       derived from the transcripts
        .index.sqlite                     what was read from each transcript of a large campaign,
                                          so that it need not be read again; may be deleted

A run is finished when its transcript ends with an ``outcome``. Nothing else is asked on resume:
a process may be killed at any byte, and what it had finished stands.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from harness.errors import BadInput, InfrastructureFault
from harness.records import (
    EVENT,
    Cause,
    Event,
    ModelRecord,
    Outcome,
    OutcomeName,
    Plan,
    Record,
    Started,
)
from harness.secrets import redacted


class AttemptEntry(Record):
    """A line of the ledger: an attempt began, or came to an end and to an outcome."""

    event: Literal["begun", "ended"]
    run: str
    attempt: int
    model: str
    task: str
    repetition: int
    at: AwareDatetime
    outcome: OutcomeName | None = None
    cause: Cause | None = None
    detail: str | None = None


class SittingEntry(Record):
    """A line of the ledger: what became of a sitting. ``model`` is the one it is about."""

    event: Literal["opened", "paused", "resumed", "slowed", "closed"]
    at: AwareDatetime
    model: str | None = None
    detail: str | None = None
    preflight: dict[str, Any] | None = None


LEDGER_ENTRY: TypeAdapter[AttemptEntry | SittingEntry] = TypeAdapter(
    Annotated[AttemptEntry | SittingEntry, Field(discriminator="event")]
)


class Filed(Record):
    """What proves that predictions.toml was there, as it is, when the first run began."""

    digest: str = Field(description="SHA-256 of the file's bytes, in hex")
    filed_at: AwareDatetime


class Manifest(Record):
    """What was resolved and observed when a campaign began.

    ``preflight`` is by model, and null where it was skipped; ``predictions`` is null where none
    were filed.
    """

    campaign: str
    note: str
    started_at: AwareDatetime
    plan: Plan
    config: dict[str, Any]
    infrastructure: dict[str, Any]
    suite_digest: str
    suite_shortcoming: str | None
    task_digests: dict[str, str]
    models: tuple[ModelRecord, ...]
    sandbox: dict[str, Any]
    versions: dict[str, str]
    hardware: dict[str, Any]
    preflight: dict[str, dict[str, Any]] | None
    predictions: Filed | None = None


@dataclass(frozen=True)
class CampaignFolder:
    """The paths of one campaign, and what is done to its files."""

    path: Path

    @classmethod
    def find(cls, argument: Path) -> CampaignFolder:
        """The campaign that a person named by its folder or its campaign.toml."""
        folder = argument.parent if argument.name == "campaign.toml" else argument
        if not (folder / "campaign.toml").is_file():
            raise BadInput(
                f"{folder}: no campaign here (no campaign.toml); "
                f"'fairtrial new-campaign {folder}' writes one"
            )
        return cls(folder.resolve())

    @property
    def id(self) -> str:
        """The campaign's id is its folder's name."""
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "campaign.toml"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.toml"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def manifest(self) -> Path:
        return self.data / "manifest.json"

    @property
    def ledger(self) -> Path:
        return self.data / "ledger.jsonl"

    @property
    def log(self) -> Path:
        return self.data / "log.jsonl"

    @property
    def transcripts(self) -> Path:
        return self.data / "transcripts"

    @property
    def verification(self) -> Path:
        return self.path / "verification"

    @property
    def index(self) -> Path:
        return self.verification / ".index.sqlite"

    def transcript(self, run: str) -> Path:
        """Where the latest attempt of a run is."""
        return self.transcripts / f"{run}.jsonl"

    @property
    def begun(self) -> bool:
        """Whether any run has a transcript."""
        return any(self.transcripts.glob("*.jsonl"))

    def transcript_paths(self) -> list[Path]:
        """Every transcript, earlier attempts among them, in the order of their names."""
        return sorted(self.transcripts.glob("*.jsonl"))

    def prepare(self) -> None:
        """Make the folders that are written to; raises BadInput where that cannot be."""
        try:
            self.transcripts.mkdir(parents=True, exist_ok=True)
            self.verification.mkdir(exist_ok=True)
            probe = self.transcripts / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise BadInput(
                f"{self.path}: cannot be written: {error.strerror}; "
                "copy the campaign to a folder of yours, or free space"
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the campaign; raises BadInput while another process does."""
        with (self.data / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise BadInput(
                    f"{self.path}: already being run by process {lock.read().strip() or '?'}; "
                    "wait for it, or stop it first"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    @property
    def derived(self) -> bool:
        """Whether any of its evidence has been written."""
        return any(self.verification.glob("*.csv"))

    @property
    def player(self) -> str | None:
        """The number of the process that holds the campaign now; None where nobody does."""
        try:
            lock = (self.data / "lock").open()
        except FileNotFoundError:
            return None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "?"
        return None

    def finished(self, run: str) -> Outcome | None:
        """The outcome of a run's latest attempt, or None where it has none yet."""
        return last_outcome(self.transcript(run))

    def next_attempt(self, run: str) -> int:
        """Set a run's earlier transcript aside, if it has one, and number the next attempt."""
        path = self.transcript(run)
        attempt = 1
        while (aside := self.transcripts / f"{run}.attempt-{attempt}.jsonl").exists():
            attempt += 1
        if path.exists():
            path.rename(aside)
            attempt += 1
        return attempt


class JsonLines:
    """A file that records are appended to, a line each, handed to the system as they come."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab", buffering=0)
        if _torn(path):
            self._file.write(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Write one line; raises InfrastructureFault where it cannot be written."""
        line = redacted(record.model_dump_json()).encode() + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(line)
        except OSError as error:
            raise InfrastructureFault("disk_full", str(error)) from error
        if written != len(line):
            # What is written next, where space is found again, must not stand in this line.
            os.ftruncate(self._file.fileno(), size)
            raise InfrastructureFault(
                "disk_full", f"{self._file.name}: No space left on device for a whole line"
            )

    def close(self) -> None:
        """Put what was written on the disk itself, then close; raises as ``append`` does."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InfrastructureFault("disk_full", str(error)) from error
        finally:
            self._file.close()


def read_transcript(path: Path) -> Iterator[Event]:
    """The events of a transcript, one by one.

    A last line that was cut short ends it without a word: the process was killed while writing.
    Anything else that is no event raises BadInput, naming file and line.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    validate = EVENT.validator.validate_json  # without what the adapter asks anew for every line
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                event = validate(line)
            except ValidationError as error:
                raise _no_event(error, f"{path}:{number}") from None
            yield event


def read_manifest(folder: CampaignFolder) -> Manifest | None:
    """The manifest of a campaign that has begun; None before that."""
    try:
        return Manifest.model_validate_json(folder.manifest.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{folder.manifest}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BadInput(
            f"{folder.manifest}: no manifest ({error.error_count()} errors); "
            "restore it, or move data/ away to begin anew"
        ) from None


def parse_event(line: bytes, where: str) -> Event:
    """One line as an event; raises BadInput that opens with ``where``."""
    try:
        return EVENT.validate_json(line)
    except ValidationError as error:
        raise _no_event(error, where) from None


def _no_event(error: ValidationError, where: str) -> BadInput:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    what = f"{key}: {first['msg']}" if key else first["msg"]
    return BadInput(f"{where}: no transcript event: {what}")


def read_header(path: Path) -> Started:
    """The first line of a transcript; raises BadInput where it is something else."""
    first = next(read_transcript(path), None)
    if not isinstance(first, Started):
        raise BadInput(f"{path}: no transcript: its first line is no complete 'started' event")
    return first


def last_outcome(path: Path) -> Outcome | None:
    """The outcome a transcript ends with; None where it is missing, torn or unfinished."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 64 * 1024))
            tail = file.read()
    except FileNotFoundError:
        return None
    line = tail[:-1].rpartition(b"\n")[2]
    if not tail.endswith(b"\n") or b'"type":"outcome"' not in line:
        return None
    event = parse_event(line, str(path))
    return event if isinstance(event, Outcome) else None


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file to be filled: it takes the place of ``path`` once the block is left, and
    vanishes where that is by an exception. So no file is ever seen half written.

    Raises InfrastructureFault where space ran out, and BadInput where its folder cannot be
    written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from None
    temporary = Path(name)
    try:
        yield temporary
        os.fsync(handle)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise InfrastructureFault("disk_full", str(error)) from error
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Write a file so that it is never seen half written; what comes in parts is never held as
    a whole, and a secret that spans two of them is not seen. Raises as ``replaced`` does."""
    parts = [content] if isinstance(content, str | bytes) else content
    with replaced(path) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(redacted(part).encode() if isinstance(part, str) else part)


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when all went well and vanishes otherwise.

    Raises BadInput where ``path`` cannot be made, or is there already and not empty; with
    ``replace``, what was there is deleted once the new folder stands, and not before. Raises
    InfrastructureFault where space ran out.
    """
    path = path.resolve()
    if path.exists() and not replace and not (path.is_dir() and not any(path.iterdir())):
        raise BadInput(f"{path}: exists already; choose another folder, or move it away")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise BadInput(f"{path}: cannot be made: {error.strerror}") from None
    new, old = work / "new", work / "old"
    try:
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
    except OSError as error:
        raise InfrastructureFault("disk_full", str(error)) from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)  # what was to be replaced is still the best there is
        shutil.rmtree(work)


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
