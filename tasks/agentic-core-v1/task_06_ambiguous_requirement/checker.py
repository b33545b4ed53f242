"""Whether the note shows both readings of the request, and the function follows the one it claims.

The two readings of every request are worked out here. That both are understood is proved by
numbers: the note's example must have different results under the two, and they must be right. They
also tell which reading is claimed, and the function, which runs in the sandbox only, has to agree
with that one wherever it is called.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from random import Random
from typing import Any

from pydantic import ValidationError

from harness.answers import bare, shortened
from harness.calls import Call, wrong_call
from harness.records import Check, Record, Verdict
from harness.task import FinishedRun

NOTE = "note.json"
LONGEST_NOTE, LONGEST_TEXT, FEWEST_WORDS, MOST_RECORDS = 50_000, 600, 5, 200

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
        wrong["readings"] = _wrong_readings(note.implemented.reading, note.other.reading)
        wrong["question"] = _wrong_question(note)
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
    if text is None or len(text) > LONGEST_NOTE:
        return f"{NOTE} is missing, or longer than a note can be"
    try:
        return Note.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return shortened(f"{NOTE}: {'.'.join(map(str, first['loc']))}: {first['msg']}")


def _wrong_quote(facts: Facts, quote: str) -> str:
    words = " ".join(bare(quote).split()).strip(' ."').lower()
    right = facts["key"].lower() in words and words in facts["crux"].lower()
    return "" if right else f"not from the sentence in question: {shortened(quote)}"


def _wrong_readings(*readings: str) -> str:
    words = [re.findall(r"\w+", reading.lower()) for reading in readings]
    if any(len(each) < FEWEST_WORDS for each in words) or max(map(len, readings)) > LONGEST_TEXT:
        return "one of the readings is no sentence"
    return "both readings are the same" if words[0] == words[1] else ""


def _wrong_question(note: Note) -> str:
    question = note.question.strip()
    numbers = {each.strip(",.").replace(",", "") for each in re.findall(r"\d[\d,.]*", question)}
    one_sentence = re.fullmatch(r"[^?\n]+\?", question) and not re.search(r"[.!]\s+[A-Z]", question)
    if not one_sentence or len(question) > LONGEST_TEXT:
        return f"not one sentence that ends with a question mark: {shortened(question)}"
    missing = {str(side.result) for side in (note.implemented, note.other)} - numbers
    return f"does not contain both results: {shortened(question)}" if missing else ""


def _claimed(facts: Facts, note: Note) -> int | str:
    """The reading that the example shows as implemented, the first (0) or the second (1); or
    what is wrong with the example."""
    records = note.example
    if len(records) > MOST_RECORDS or not all(_allowed(facts, record) for record in records):
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


READINGS: dict[str, tuple[Callable[..., int], Callable[..., int]]] = {
    "orders": (partial(_orders, with_voucher=False), partial(_orders, with_voucher=True)),
    "parcels": (partial(_parcels, whole=False), partial(_parcels, whole=True)),
    "rides": (partial(_rides, monthly=False), partial(_rides, monthly=True)),
    "sales": (partial(_sales, open_only=False), partial(_sales, open_only=True)),
    "books": (partial(_books, none_reserved=False), partial(_books, none_reserved=True)),
}
