"""A campaign's report: ``report.md`` for a blog, ``report/index.html`` as one page, and a page
per transcript under ``report/runs/``.

    compose.py      which sections, in which order      -> document.py
      conducted.py    what was run, and on what
      results.py      tables: result, costs, infrastructure, findings
      stories.py      every failure, told from its transcript
      unknown.py      what is not known
      notes.py        the author's words, from notes.md
    markdown.py     document -> report.md
    html.py         document -> report/index.html        templates/
    transcript.py   a transcript -> its page
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.errors import BadInput
from harness.store import CampaignFolder, write_whole
from verification.evidence import Evidence, read
from verification.report.compose import compose
from verification.report.document import Document
from verification.report.html import index
from verification.report.markdown import markdown
from verification.report.transcript import pages

__all__ = ["Written", "render", "write"]


class Written(NamedTuple):
    """What a report came to: its pages of transcripts, and how many numbers of its author's no
    cell of the evidence proves."""

    pages: int
    unproved: int


def render(
    folder: CampaignFolder,
    *,
    sibling: CampaignFolder | None = None,
    others: Sequence[CampaignFolder] = (),
    anyway: bool = False,
) -> dict[str, str | bytes]:
    """The report, by paths relative to the campaign's folder; without the pages of transcripts.

    The same transcripts and notes give the same bytes. Raises BadInput where no run has begun, for
    transcripts or notes that cannot be read, and for a ``sibling`` that was played under other
    conditions, unless ``anyway``: then the comparison says so.
    """
    evidence = read(folder)
    document = compose(folder, evidence, sibling=sibling, others=others, anyway=anyway)
    return _files(document, evidence)


def write(
    folder: CampaignFolder,
    *,
    sibling: CampaignFolder | None = None,
    others: Sequence[CampaignFolder] = (),
    anyway: bool = False,
) -> Written:
    """Write the report and a page per transcript, each file whole.

    Pages of transcripts that are no longer there are removed. Raises as ``render`` does.
    """
    evidence = read(folder)
    document = compose(folder, evidence, sibling=sibling, others=others, anyway=anyway)
    files = _files(document, evidence)
    runs = folder.path / "report" / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{runs}: cannot be made: {error.strerror}; move what is there") from None
    written = set()
    for name, page in pages(folder, evidence):
        write_whole(runs / name, page)
        written.add(name)
    for path, content in files.items():
        write_whole(folder.path / path, content)
    for stray in sorted({path.name for path in runs.glob("*.html")} - written):
        (runs / stray).unlink()
    return Written(len(written), document.unproved)


def _files(document: Document, evidence: Evidence) -> dict[str, str | bytes]:
    names = (name.removesuffix(".jsonl") for name in evidence.attempts["transcript"])
    files: dict[str, str | bytes] = {
        f"report/{picture.stem}.png": picture.png for picture in document.pictures()
    }
    files["report.md"] = markdown(document)
    files["report/index.html"] = index(document, frozenset(names))
    return files
