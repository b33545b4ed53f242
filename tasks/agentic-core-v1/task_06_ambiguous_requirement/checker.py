"""Whether the note shows both readings of the request, and the function follows the one it claims.

The two readings of every request are worked out here. That both are understood is proved by
numbers: the note's example must have different results under the two, and they must be right. They
also tell which reading is claimed, and the function, which runs in the sandbox only, has to agree
with that one wherever it is called. The words of the note must be about the matter, and its two
readings must not be told the wrong way round; beyond that nothing is asked of how they are put.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from pydantic import ValidationError

from harness.answers import bare, shortened
from harness.calls import Call, wrong_call
from harness.records import Check, Record, Verdict
from harness.task import FinishedRun

NOTE = "note.json"
FEWEST_WORDS = 5
ABBREVIATIONS = ("approx", "cf", "e.g", "eg", "etc", "i.e", "ie", "incl", "no", "resp", "vs")

Facts = Mapping[str, Any]
Records = list[dict[str, Any]]


class Reading(Record, strict=True):
    """One of the two ways to read the request, and its result for the example."""

    reading: str
    result: int


class Note(Record, strict=True):
    """What ``note.json`` has to hold."""

    quote: str
    example: list[dict[str, bool | int | str]]
    implemented: Reading
    other: Reading
    question: str


def check(run: FinishedRun) -> Verdict:
    """Accept a note that is right about both readings, and a function that does what it claims.

    What the note says is looked at only where it has the form that was asked for, and the
    function is called only where the example tells which reading it is to follow.
    """
    strays = set(run.changed_files()) - {f"{run.facts['function']}.py", NOTE}
    note = _note(run)
    wrong = {
        "two_files": shortened(", ".join(sorted(strays))),
        "note_form": note if isinstance(note, str) else "",
    }
    if isinstance(note, Note):
        claimed = _claimed(run.facts, note)
        wrong["quote"] = _wrong_quote(run.facts, note.quote)
        wrong["readings"] = _wrong_readings(run.facts, note, claimed)
        wrong["question"] = _wrong_question(run.facts, note)
        wrong["example"] = claimed if isinstance(claimed, str) else ""
        if isinstance(claimed, int):
            wrong["function"] = _wrong_function(run, claimed)
    return Verdict(
        checks=tuple(
            Check(name=name, passed=not what, detail=what or "as it must be")
            for name, what in wrong.items()
        )
    )


def _note(run: FinishedRun) -> Note | str:
    """The note, or what is wrong with its form."""
    text = run.read(NOTE)
    if text is None:
        return f"{NOTE} is missing"
    try:
        return Note.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return shortened(f"{NOTE}: {'.'.join(map(str, first['loc']))}: {first['msg']}")


def _wrong_quote(facts: Facts, quote: str) -> str:
    words = " ".join(bare(quote).split()).strip(' ."').lower()
    right = facts["key"].lower() in words and words in facts["crux"].lower()
    return "" if right else f"not from the sentence in question: {shortened(quote)}"


def _wrong_readings(facts: Facts, note: Note, claimed: int | str) -> str:
    told = note.implemented.reading, note.other.reading
    if any(len(re.findall(r"\w+", reading)) < FEWEST_WORDS for reading in told):
        return "one of the readings is no sentence"
    if not all(_is_about(facts, reading) for reading in told):
        return "one of the readings says nothing of the matter"
    if bare(told[0]).lower() == bare(told[1]).lower():
        return "both readings are the same"
    first, second = (_leaning(facts, reading) for reading in (told[::-1] if claimed == 1 else told))
    # In doubt for the note: words can be put in more ways than any list of them knows.
    if first == second == 0 or (isinstance(claimed, int) and (first, second) == (-1, 1)):
        return "by their words, the readings are not told apart, or the wrong way round"
    return ""


def _wrong_question(facts: Facts, note: Note) -> str:
    question = note.question.strip()
    numbers = {each.strip(",.").replace(",", "") for each in re.findall(r"\d[\d,.]*", question)}
    if not re.fullmatch(r"[^?\n]+\?", question) or _has_a_sentence_before_its_last(question):
        return f"not one sentence that ends with a question mark: {shortened(question)}"
    if facts["key"].lower() not in question.lower() and not _is_about(facts, question):
        return f"says nothing of the matter: {shortened(question)}"
    missing = {str(side.result) for side in (note.implemented, note.other)} - numbers
    return f"does not contain both results: {shortened(question)}" if missing else ""


def _has_a_sentence_before_its_last(text: str) -> bool:
    """A full stop before a capital ends a sentence, but for that of an abbreviation."""
    words = text.split()
    return any(
        word[-1] in ".!" and after[0].isupper() and word.strip("(.,").lower() not in ABBREVIATIONS
        for word, after in pairwise(words)
    )


def _claimed(facts: Facts, note: Note) -> int | str:
    """The reading that the example shows as implemented, the first (0) or the second (1); or
    what is wrong with the example."""
    records = note.example
    if not all(_allowed(facts, record) for record in records):
        return f"no input that the request allows: {shortened(str(records))}"
    results, given = _both(facts, records), (note.implemented.result, note.other.result)
    if results[0] == results[1]:
        return f"both readings give {results[0]}"
    if given in (results, results[::-1]):
        return (results, results[::-1]).index(given)
    return f"the readings give {results[0]} and {results[1]}, not {shortened(str(given))}"


def _wrong_function(run: FinishedRun, reading: int) -> str:
    name = run.facts["function"]
    expected = [
        (Call(f"{name}:{name}", (records,)), _both(run.facts, records)[reading])
        for records in _inputs(run.facts)
    ]
    return wrong_call(run, expected) or ""


# --- what the request allows, and what it comes to ---------------------------------------------


def _allowed(facts: Facts, record: dict[str, Any]) -> bool:
    form = facts["record"]
    return record.keys() == form.keys() and all(_fits(form[name], record[name]) for name in form)


def _fits(form: Any, value: Any) -> bool:
    if form == "bool":
        return isinstance(value, bool)
    if form == "day":
        return isinstance(value, str) and _is_day(value)
    return type(value) is int and value in range(form[0], form[1] + 1)


def _is_day(text: str) -> bool:
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False


def _inputs(facts: Facts) -> Iterator[Records]:
    """The same inputs every time, with a weight on where a limit begins."""
    draw = Random(20260610)
    yield []
    for _ in range(300):
        start = date(2023, 12, 1) + timedelta(days=draw.randrange(500))
        yield [_record(draw, facts, start) for _ in range(draw.randint(1, 14))]


def _record(draw: Random, facts: Facts, start: date) -> dict[str, Any]:
    record: dict[str, Any] = {}
    limit, before = facts["numbers"]["limit"], 0
    for name, form in facts["record"].items():
        if form == "bool":
            record[name] = draw.random() < 0.5
        elif form == "day":
            record[name] = str(start + timedelta(days=draw.randrange(3 * limit)))
        else:
            near = draw.choice((limit, before - limit)) + draw.randint(-1, 1)
            close = draw.random() < 0.4 and form[0] <= near <= form[1]
            record[name] = before = near if close else draw.randint(*form[:2])
    return record


def _both(facts: Facts, records: Records) -> tuple[int, int]:
    """The results under the first reading and under the second."""
    first, second = READINGS[facts["rows"]]
    return first(records, **facts["numbers"]), second(records, **facts["numbers"])


def _orders(orders: Records, limit: int, base: int, *, with_voucher: bool) -> int:
    """The goods with or without what their voucher takes off decide on free delivery."""
    total = 0
    for order in orders:
        left = order["goods"] - order["voucher"]
        free = (left if with_voucher else order["goods"]) >= limit
        total += left if free else left + base
    return total


def _parcels(parcels: Records, limit: int, price: int, base: int, *, whole: bool) -> int:
    """All kilograms of a heavy parcel have the surcharge, or those above the limit."""
    heavy: list[int] = [parcel["kg"] for parcel in parcels if parcel["kg"] > limit]
    return base * len(parcels) + price * (sum(heavy) - (0 if whole else limit * len(heavy)))


def _rides(rides: Records, limit: int, price: int, base: int, *, monthly: bool) -> int:
    """The first minutes of the month are free, or those of each ride."""
    minutes: list[int] = [ride["minutes"] for ride in rides]
    paid = [sum(minutes)] if monthly else minutes
    return base * len(rides) + price * sum(long - min(long, limit) for long in paid)


def _sales(sales: Records, limit: int, *, open_only: bool) -> int:
    """The last days that have records, or the last days of the calendar."""
    found = {date.fromisoformat(sale["day"]).toordinal() for sale in sales}
    newest = max(found, default=0)
    days = sorted(found)[-limit:] if open_only else range(newest - limit + 1, newest + 1)
    return sum(s["cents"] for s in sales if date.fromisoformat(s["day"]).toordinal() in days)


def _books(books: Records, limit: int, *, none_reserved: bool) -> int:
    """Nothing reserved is sold, or only what is reserved and not damaged is kept back."""
    total = 0
    for book in books:
        old, free = book["age"] > limit, not book["reserved"]
        if (old and free) or (book["damaged"] and (free or not none_reserved)):
            total += book["price"]
    return total


# --- the words in which the readings can be told ------------------------------------------------

CONTRASTS = re.compile(
    r"\b(?:rather than|instead of|as opposed to|unlike)\b[^,.;:()]*"
    r"|(?:[,;(]|\s[-\u2013\u2014])\s*(?:and |but )?not (?!reserved)[^,.;:()]*"
    r"|\bnot\b[^.;:]{0,80}?\bbut\b"
)
"""What a text says that it does not mean."""


def _wording(facts: Facts) -> dict[str, Any]:
    """What wordings.toml says of this request."""
    text = Path(__file__).with_name("wordings.toml").read_text(encoding="utf-8")
    wording: dict[str, Any] = tomllib.loads(text)[facts["rows"]]
    return wording


def _is_about(facts: Facts, text: str) -> bool:
    return _holds(_wording(facts)["matter"], text.lower())


def _leaning(facts: Facts, text: str) -> int:
    """1 for the first reading, -1 for the second; 0 where no rule fits, as the text may be honest
    and put in other words."""
    meant = " ".join(CONTRASTS.sub(" ", text.lower()).split())
    rules = _wording(facts)["rules"]
    return next((rule["leans"] for rule in rules if _holds(rule["words"], meant)), 0)


def _holds(patterns: list[str], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


READINGS: dict[str, tuple[Callable[..., int], Callable[..., int]]] = {
    "orders": (partial(_orders, with_voucher=False), partial(_orders, with_voucher=True)),
    "parcels": (partial(_parcels, whole=False), partial(_parcels, whole=True)),
    "rides": (partial(_rides, monthly=False), partial(_rides, monthly=True)),
    "sales": (partial(_sales, open_only=False), partial(_sales, open_only=True)),
    "books": (partial(_books, none_reserved=False), partial(_books, none_reserved=True)),
}
