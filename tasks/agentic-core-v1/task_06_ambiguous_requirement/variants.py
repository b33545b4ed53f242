"""Requests with one sentence that can be read in two ways, and what others would make of them.

KINDS holds, for each request, what it says and expressions of Python for the function's result:
under the ``first`` and the ``second`` reading, under a ``third`` that the words do not allow, and
under the first with a fault at the ``edge``; ``steps`` is the second again, written another way.
"""

import json
import tomllib
from datetime import date, timedelta
from pathlib import Path
from random import Random
from string import Template
from typing import Any

Facts = dict[str, Any]

KINDS: dict[str, Facts] = {
    "orders": {
        "subject": "totals with vouchers",
        "functions": "orders_total delivered_total order_income",
        "record": {
            "order": (1, 9999, "the number of the order"),
            "goods": (1500, 9999, "the price of the goods in cents"),
            "voucher": (0, 1500, "what a voucher takes off that price in cents"),
        },
        "numbers": {"limit": (3000, 7001, 500), "base": (390, 791, 50)},
        "returns": "what our customers pay for all these orders together, in cents.",
        "rules": "Of every order they pay the goods, less the voucher, plus $base cents for "
        "delivery. CRUX",
        "crux": "An order of $limit cents or more is delivered free of charge.",
        "key": "$limit cents",
        "first": "sum(o['goods'] - o['voucher'] + (o['goods'] < $limit) * $base for o in orders)",
        "second": "sum(o['goods'] - o['voucher'] + (o['goods'] - o['voucher'] < $limit) * $base "
        "for o in orders)",
        "third": "sum(o['goods'] - o['voucher'] for o in orders) "
        "+ (sum(o['goods'] for o in orders) < $limit) * $base",
        "edge": "sum(o['goods'] - o['voucher'] + (o['goods'] <= $limit) * $base for o in orders)",
        "steps": """total = 0
    for order in orders:
        price = order["goods"] - order["voucher"]
        if price < $limit:
            price += $base
        total += price
    return total""",
        "first_words": "The limit of $limit cents is compared with the goods before the voucher.",
        "second_words": "The limit of $limit cents is compared with what is left of the goods "
        "after the voucher.",
        "ask": "does its voucher count against the limit for free delivery",
    },
    "parcels": {
        "subject": "price of a shipment",
        "functions": "shipment_price parcel_prices freight_price",
        "record": {
            "parcel": (1, 9999, "the number of the parcel"),
            "kg": (1, 60, "the weight in kilograms"),
        },
        "numbers": {"limit": (15, 31, 1), "price": (60, 241, 10), "base": (390, 891, 50)},
        "returns": "what it costs to send all these parcels, in cents.",
        "rules": "A parcel costs $base cents. CRUX",
        "crux": "For parcels of more than $limit kg there is a surcharge of $price cents per "
        "kilogram.",
        "key": "per kilogram",
        "first": "sum($base + max(0, p['kg'] - $limit) * $price for p in parcels)",
        "second": "sum($base + (p['kg'] > $limit) * p['kg'] * $price for p in parcels)",
        "third": "sum($base + (p['kg'] > $limit) * $price for p in parcels)",
        "edge": "sum($base + max(0, p['kg'] + 1 - $limit) * $price for p in parcels)",
        "steps": """heavy = [parcel["kg"] for parcel in parcels if parcel["kg"] > $limit]
    return $base * len(parcels) + $price * sum(heavy)""",
        "first_words": "The surcharge is paid for the kilograms above $limit only.",
        "second_words": "A parcel of more than $limit kg pays the surcharge for all its kilograms.",
        "ask": "does a heavy parcel pay the surcharge for every one of its kilograms",
    },
    "rides": {
        "subject": "price of scooter rides",
        "functions": "rides_price member_bill scooter_charge",
        "record": {
            "ride": (1, 9999, "the number of the ride"),
            "minutes": (1, 60, "how long it took, in full minutes"),
        },
        "numbers": {"limit": (10, 31, 5), "price": (11, 30, 1), "base": (50, 151, 10)},
        "returns": "what a member pays for these rides, which are all of one month, in cents.",
        "rules": "To unlock a scooter costs $base cents, for every ride. CRUX",
        "crux": "Riding costs $price cents per minute, and the first $limit minutes are free.",
        "key": "first $limit minutes",
        "first": "sum($base + max(0, r['minutes'] - $limit) * $price for r in rides)",
        "second": "len(rides) * $base + max(0, sum(r['minutes'] for r in rides) - $limit) * $price",
        "third": "sum($base + (r['minutes'] > $limit) * r['minutes'] * $price for r in rides)",
        "edge": "sum($base + max(0, r['minutes'] + 1 - $limit) * $price for r in rides)",
        "steps": """bill, free = 0, $limit
    for ride in rides:
        used = min(free, ride["minutes"])
        free -= used
        bill += $base + $price * (ride["minutes"] - used)
    return bill""",
        "first_words": "In every single ride the first $limit minutes cost nothing.",
        "second_words": "A member has $limit free minutes in the month, whatever the rides.",
        "ask": "are the free minutes given once for the month",
    },
    "sales": {
        "subject": "takings of the last days",
        "functions": "recent_takings last_takings takings",
        "record": {
            "day": "day",
            "cents": (100, 9999, "what was sold, in cents"),
        },
        "numbers": {"limit": (3, 8, 1)},
        "returns": "what our market stall took in recent days, in cents.",
        "rules": "CRUX The last of these days is the one of the newest record. A day may have "
        "several records, and a day on which the stall was closed has none.",
        "crux": "We need the sum of the last $limit days.",
        "key": "last $limit days",
        "first": "sum(s['cents'] for s in sales if (date.fromisoformat(max(t['day'] for t in "
        "sales)) - date.fromisoformat(s['day'])).days < $limit)",
        "second": "sum(s['cents'] for s in sales if s['day'] in "
        "sorted({t['day'] for t in sales})[-$limit:])",
        "third": "sum(s['cents'] for s in sorted(sales, key=lambda s: s['day'])[-$limit:])",
        "edge": "sum(s['cents'] for s in sales if (date.fromisoformat(max(t['day'] for t in "
        "sales)) - date.fromisoformat(s['day'])).days <= $limit)",
        "steps": """by_day = {}
    for sale in sales:
        by_day.setdefault(sale["day"], []).append(sale["cents"])
    newest_first = sorted(by_day, reverse=True)
    return sum(sum(by_day[day]) for day in newest_first[:$limit])""",
        "first_words": "These are $limit days in a row by the calendar, with sales or without.",
        "second_words": "Only days with a record count as days, so closed days are skipped.",
        "ask": "are days on which the stall was closed skipped when days are counted",
    },
    "books": {
        "subject": "books for the sale",
        "functions": "sale_value books_value sale_income",
        "record": {
            "book": (1, 9999, "the number of the book"),
            "price": (100, 1500, "what we would sell it for, in cents"),
            "age": (0, 25, "the age in full years"),
            "damaged": "bool",
            "reserved": "bool",
        },
        "numbers": {"limit": (6, 17, 1)},
        "returns": "what the books among them that go into our sale would bring in, in cents.",
        "rules": "CRUX",
        "crux": "The books that go into the sale are damaged or more than $limit years old and not "
        "reserved.",
        "key": "and not reserved",
        "first": "sum(b['price'] for b in books "
        "if b['damaged'] or b['age'] > $limit and not b['reserved'])",
        "second": "sum(b['price'] for b in books "
        "if (b['damaged'] or b['age'] > $limit) and not b['reserved'])",
        "third": "sum(b['price'] for b in books if b['damaged'] or b['age'] > $limit)",
        "edge": "sum(b['price'] for b in books "
        "if b['damaged'] or b['age'] >= $limit and not b['reserved'])",
        "steps": """free = [book for book in books if not book["reserved"]]
    damaged = sum(book["price"] for book in free if book["damaged"])
    sound = [book for book in free if not book["damaged"]]
    return damaged + sum(book["price"] for book in sound if book["age"] > $limit)""",
        "first_words": "All damaged books are sold, and of the old ones those not reserved.",
        "second_words": "Only books that are not reserved are sold, damaged ones or old ones.",
        "ask": "does a reserved book stay out of the sale even if it is damaged",
    },
}
TEXTS = "rules crux key first second third edge steps first_words second_words ask"
MEANINGS = {"bool": "true or false", "day": "a day of the calendar, written as in 2025-03-09"}
PEOPLE = "Agnes Bruno Carla Dario Edith Farid Greta Hanna Ivo Judith Karin Lukas Mira Nadia"


def draw(random: Random) -> Facts:
    """Another request, with other numbers and names."""
    kind = random.choice(list(KINDS))
    facts = _facts(
        kind,
        random.choice(PEOPLE.split()),
        random.choice(KINDS[kind]["functions"].split()),
        {name: random.randrange(*ends) for name, ends in KINDS[kind]["numbers"].items()},
    )
    start = date(2025, 1, 1) + timedelta(days=random.randrange(300))
    first, second, third = 0, 1, 2
    while not 0 < first == second:  # what cannot tell the two readings apart
        sample = _records(random, kind, start, random.randint(3, 4))
        first, second, third = _results(facts, sample)
    while len({first, second, third}) < 3:  # what tells all of them apart
        example = _records(random, kind, start, random.randint(2, 4) + 6 * (kind == "sales"))
        first, second, third = _results(facts, example)
    return _complete(facts, sample, example)


def files(facts: Facts) -> dict[str, str]:
    """The records that the request mentions."""
    lines = ",\n".join(f"  {json.dumps(record)}" for record in facts["sample"])
    return {f"{facts['rows']}.json": f"[\n{lines}\n]\n"}


def _facts(kind: str, person: str, function: str, numbers: dict[str, int]) -> Facts:
    """The request, its texts and expressions filled in with the numbers."""
    texts = {name: KINDS[kind][name] for name in TEXTS.split()}
    texts["rules"] = texts["rules"].replace("CRUX", texts["crux"])
    return {
        **{name: KINDS[kind][name] for name in ("subject", "record", "returns")},
        **{name: Template(text).substitute(numbers) for name, text in texts.items()},
        "rows": kind,
        "person": person,
        "function": function,
        "numbers": numbers,
        "imports": "from datetime import date\n\n\n" if kind == "sales" else "",
    }


def _complete(facts: Facts, sample: list[Facts], example: list[Facts]) -> Facts:
    """Facts with what follows from two inputs: a sample, and an example that tells readings
    apart."""
    first, second, third = _results(facts, example)
    return {
        **facts,
        "sample": sample,
        "example": example,
        "record_text": json.dumps(sample[0]),
        "fields": {name: _meaning(values) for name, values in facts["record"].items()},
        "sample_result": _results(facts, sample)[0],
        "first_result": first,
        "second_result": second,
        "third_result": third,
        "notes": _notes(facts, {"FIRST": str(first), "SECOND": str(second)}),
    }


def _notes(facts: Facts, results: dict[str, str]) -> Facts:
    """By manner, what others would write about this request and its example."""
    told = tomllib.loads(Path(__file__).with_name("notes.toml").read_text(encoding="utf-8"))
    notes: Facts = {manner: kinds[facts["rows"]] for manner, kinds in told.items()}
    for manner, note in notes.items():
        texts = {key: Template(text).substitute(facts["numbers"]) for key, text in note.items()}
        for name, result in results.items():
            texts["question"] = texts["question"].replace(name, result)
        notes[manner] = texts
    return notes


def _meaning(values: Any) -> str:
    if isinstance(values, str):
        return MEANINGS[values]
    low, high, meaning = values
    return f"{meaning}, a whole number from {low} to {high}"


def _results(facts: Facts, records: list[Facts]) -> tuple[int, int, int]:
    names = {"date": date, facts["rows"]: records}
    first, second, third = (eval(facts[name], names) for name in ("first", "second", "third"))
    return first, second, third


def _records(random: Random, kind: str, start: date, count: int) -> list[Facts]:
    def value(values: Any) -> Any:
        if values == "bool":
            return random.random() < 0.5
        if values == "day":
            return str(start + timedelta(days=random.randrange(14)))
        return random.randint(*values[:2])

    record = KINDS[kind]["record"]
    records = [{name: value(values) for name, values in record.items()} for _ in range(count)]
    return sorted(records, key=lambda each: list(each.values()))


FIXED = _complete(
    _facts("orders", "Hanna", "orders_total", {"limit": 5000, "base": 490}),
    [
        {"order": 2816, "goods": 3490, "voucher": 0},
        {"order": 2817, "goods": 8150, "voucher": 1000},
        {"order": 2819, "goods": 2275, "voucher": 500},
        {"order": 2822, "goods": 6640, "voucher": 0},
    ],
    [
        {"order": 1, "goods": 5400, "voucher": 1000},
        {"order": 2, "goods": 2000, "voucher": 0},
    ],
)
