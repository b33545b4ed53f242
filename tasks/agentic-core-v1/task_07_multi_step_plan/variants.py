"""The month of a store: what came, was lost and was moved about, and when each of it happened.

Three bookings change the stock, and any other order of them comes to another stock: three places
change their contents round, and each of them has a delivery and a loss of its own. The store is in
class 1 until the deliveries are added and in class 2 from then on, whatever else is booked.
"""

import hashlib
from collections import Counter
from random import Random
from typing import Any

Facts = dict[str, Any]

STORES = (
    "a wine merchant|bottles",
    "a tea trader|chests",
    "a flour mill|sacks",
    "a brewery|kegs",
    "a tile maker|crates",
    "a paper mill|reels",
    "a cheese dairy|wheels",
    "a seed grower|bags",
)
PLACES = ("bay", "bin", "cage", "rack")
MONTHS = ("January", "March", "April", "May", "June", "August", "September", "October")
NAMES = {
    "deliveries": ("arrivals", "deliveries", "intake", "receipts"),
    "moves": ("moves", "rearrange", "relocate", "transfers"),
    "losses": ("breakage", "losses", "shrinkage", "write-off"),
    "survey": ("assess", "census", "classify", "survey"),
    "charges": ("billing", "charges", "fees", "rent"),
    "seal": ("attest", "lock", "seal", "stamp"),
}
BOOKINGS = "deliveries", "moves", "losses"


def draw(random: Random) -> Facts:
    """Another store and month; its bookings are not in the order of their names."""
    store, units = random.choice(STORES).split("|")
    facts: Facts = {
        "store": store,
        "units": units,
        "place": random.choice(PLACES),
        "month": f"{random.choice(MONTHS)} {random.randint(2019, 2025)}",
        "tariffs": [f"tariffs/t{number}.csv" for number in random.sample(range(11, 60), 2)],
        "order": random.sample(BOOKINGS, 3),
        "surveyed_first": random.random() < 0.5,
        **{step: random.choice(names) for step, names in NAMES.items()},
        **_happenings(random),
    }
    while facts["order"] == sorted(BOOKINGS, key=lambda step: str(facts[step])):
        facts["order"] = random.sample(BOOKINGS, 3)
    return _follows(facts)


def _happenings(random: Random) -> Facts:
    """Tables of what is in the store, and what happens to it; their rows in no order."""
    aisles = random.sample("ABCDEFGHKLMNPRSTVW", 4)
    every = [f"{aisle}{number}" for aisle in aisles for number in range(11, 60)]
    *filled, empty = random.sample(every, 21)
    one, two, three, four, five, six, seven, eight, nine, *_ = filled
    stock = dict(zip(filled, random.sample(range(200, 400), 20), strict=True))
    moved = [(one, two), (two, three), (three, one), (four, five), (five, empty), (six, seven)]
    delivered_to = random.sample([one, two, three, four, six, eight, nine], 7)
    lost_from = random.sample([one, two, three, five, seven, nine], 6)
    rates = random.sample(range(11, 90), 8)
    return {
        "stock": stock,
        "moved": dict(random.sample(moved, 6)),
        "delivered": dict(zip(delivered_to, random.sample(range(110, 260, 15), 7), strict=True)),
        "lost": dict(zip(lost_from, random.sample(range(3, 10), 6), strict=True)),
        "rates": [dict(zip(aisles, part, strict=True)) for part in (rates[:4], rates[4:])],
        "limit": sum(stock.values()) // 100 * 100 + 300,
    }


def _follows(facts: Facts) -> Facts:
    """The facts with what texts and scripts need beside: names in order, the tariff, the code."""
    bookings = [facts[step] for step in facts["order"]]
    plan = [facts["survey"], *bookings] if facts["surveyed_first"] else [*bookings, facts["survey"]]
    right = 0 if facts["surveyed_first"] else 1
    return facts | {
        "listed": sorted(facts[step] for step in NAMES),
        "plan": plan,
        "bookings": bookings,
        "tariff": facts["tariffs"][right],
        "other_tariff": facts["tariffs"][1 - right],
        "code": _code(facts, facts["rates"][right]),
    }


def _code(facts: Facts, rates: dict[str, int]) -> str:
    """The code of the right closing, which the answers of scripts give."""
    stock: Counter[str] = Counter(facts["stock"])
    for step in facts["order"]:
        if step == "deliveries":
            stock.update(facts["delivered"])
        elif step == "losses":
            stock.subtract({p: stock[p] * share // 100 for p, share in facts["lost"].items()})
        else:
            moving = {place: stock.pop(place, 0) for place in facts["moved"]}
            for place, units in moving.items():
                stock[facts["moved"][place]] += units
    lines = [f"{place},{n},{n * rates[place[0]]}\n" for place, n in sorted(stock.items())]
    text = f"{facts['place']},{facts['units']},cents\n" + "".join(lines)
    return hashlib.sha256(text.encode()).hexdigest()[:8].upper()


def files(facts: Facts) -> dict[str, str]:
    """The tables: stock, deliveries, losses, moves and the two tariffs."""
    place, units = facts["place"], facts["units"]
    tariffs = zip(facts["tariffs"], facts["rates"], strict=True)
    return {
        "data/stock.csv": _table(place, units, dict(sorted(facts["stock"].items()))),
        "inbox/deliveries.csv": _table(place, units, facts["delivered"]),
        "inbox/losses.csv": _table(place, "per cent", facts["lost"]),
        "inbox/moves.csv": _table("from", "to", facts["moved"]),
        **{path: _table("aisle", "cents", dict(sorted(rates.items()))) for path, rates in tariffs},
    }


def _table(key: str, value: str, rows: dict[str, Any]) -> str:
    return "".join(f"{one},{other}\n" for one, other in [(key, value), *rows.items()])


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _numbers(text: str) -> dict[str, int]:
    return {key: int(number) for key, number in _pairs(text).items()}


FIXED = _follows(
    {
        "store": "a wine merchant",
        "units": "bottles",
        "place": "rack",
        "month": "April 2025",
        "deliveries": "intake",
        "moves": "relocate",
        "losses": "breakage",
        "survey": "survey",
        "charges": "fees",
        "seal": "seal",
        "order": ["moves", "losses", "deliveries"],
        "surveyed_first": True,
        "tariffs": ["tariffs/t31.csv", "tariffs/t14.csv"],
        "stock": _numbers(
            "B14 212 B21 348 B22 305 B37 291 D12 264 D18 377 D25 230 D41 319 "
            "K11 246 K16 388 K33 275 M13 202 M27 361 M28 333 M40 259"
        ),
        "moved": _pairs("D18 B22 K33 M19 B22 M13 M40 D12 M13 D18 B37 K33"),
        "delivered": _numbers("M13 180 B14 96 B22 144 D18 240 B37 120 K16 84"),
        "lost": _numbers("B22 4 K33 7 D18 9 M13 6 K16 3 D12 5"),
        "rates": [_numbers("B 34 D 27 K 41 M 22"), _numbers("B 31 D 29 K 36 M 25")],
        "limit": 4700,
    }
)
