"""What the tills of six cities sent in over some weeks, and what hasty queries make of it.

PLAN says how many euro cents each city sells, at least, of every kind; the kinds are what the
notes warn of. So each mistake alters the winner's sum, and most put another city before it.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

from harness.variant import render

PLAN = """
kind             winner   rival   staff   other
plain             55000       0   40000   30000
cash              42000   40000   20000   18000
unflagged         44000   24000   15000   12000
staff              3000    3000  150000    3000
lost              22000    4000       0       0
gained             4000   30000       0       0
last_day           2500    2500    2500    2500
twins              3000    3000    1000    1000
resent            10000   30000    8000    6000
resent_refunded    3000    3000    2000    2000
refunded           7000    6000    4000    4000
in_parts           5000    4000    2000    2000
refunded_late      6000    4000    2000    2000
refunded_early     1000    3000    1000    1000
outside           20000   20000   15000   10000
"""
NO_SALES = ("staff", "gained", "refunded_early", "outside")
"""Kinds that are none of the month's: read by UTC, it has those gained, and has not those lost."""

MARGIN = 3000
"""The rival sells on until it is no more than this behind the winner."""

_BACK = """coalesce((SELECT sum(coalesce(r.cents, s.cents)) FROM refunds r
WHERE r.receipt = s.receipt), 0)"""
_LOCAL = "datetime(s.sold_at, k.utc_offset_minutes || ' minutes')"
RIGHT = f"""
WITH s AS (SELECT DISTINCT receipt, kiosk_id, customer_id, sold_at, cents FROM sales_feed)
SELECT k.city, sum(s.cents - {_BACK}) AS net
FROM s JOIN kiosks k ON k.id = s.kiosk_id LEFT JOIN customers c ON c.id = s.customer_id
WHERE {_LOCAL} >= '«first»' AND {_LOCAL} < '«next»'
AND (s.customer_id IS NULL OR c.is_test IS NULL OR c.is_test = 0)
GROUP BY k.city ORDER BY 2 DESC"""
SHALLOW = """
SELECT k.city, sum(f.cents) AS total FROM sales_feed f JOIN kiosks k ON k.id = f.kiosk_id
WHERE f.sold_at LIKE '«month»-%' GROUP BY k.city ORDER BY total DESC"""
_BACK_BY_ROW = "CASE WHEN r.id IS NULL THEN 0 ELSE coalesce(r.cents, s.cents) END"
_BACK_BY_MONTH = """0) - (SELECT sum(coalesce(r.cents, t.cents)) FROM refunds r
JOIN s t USING (receipt) WHERE t.kiosk_id = k.id AND r.paid_out_at LIKE '«month»-%'"""
_ALIKE = "FROM sales_feed GROUP BY 2, 3, 4, 5)"
MISTAKES = {
    "cash_dropped": {"LEFT JOIN": "JOIN"},
    "duplicates_counted": {"DISTINCT ": ""},
    "gross": {_BACK: "0"},
    "joined_twice": {_BACK: _BACK_BY_ROW, "LEFT": "LEFT JOIN refunds r USING (receipt) LEFT"},
    "last_day_cut": {"< '«next»'": "<= '«last»'"},
    "null_refunds_ignored": {"sum(coalesce(r.cents, s.cents))": "sum(r.cents)"},
    "offset_backwards": {"k.utc_offset_minutes ||": "(-k.utc_offset_minutes) ||"},
    "refunds_by_their_own_month": {"s.receipt)": "s.receipt AND r.paid_out_at LIKE '«month»-%')"},
    "refunds_of_the_month": {_BACK: _BACK_BY_MONTH},
    "refunded_per_delivery": {
        "refunds r\nWHERE": "refunds r JOIN sales_feed USING (receipt)\nWHERE"
    },
    "staff_counted": {" OR c.is_test = 0)": " OR c.is_test IN (0, 1))"},
    "twins_merged": {"DISTINCT receipt": "min(receipt) AS receipt", "FROM sales_feed)": _ALIKE},
    "universal_time": {_LOCAL: "s.sold_at"},
    "unknown_flag_dropped": {"OR c.is_test IS NULL ": ""},
}
"""For each hasty query, what it has in place of parts of the right one."""

WEST = {"Lima": -300, "Phoenix": -420, "Guayaquil": -300, "Caracas": -240, "Panama": -300}
WEST |= {"Kingston": -300, "Managua": -360, "Honolulu": -600, "Manaus": -240, "Quito": -300}
EAST = {"Osaka": 540, "Dhaka": 360, "Yangon": 390, "Bangkok": 420, "Jakarta": 420, "Hanoi": 420}
EAST |= {"Singapore": 480, "Manila": 480, "Perth": 480, "Taipei": 480, "Seoul": 540}
BETWEEN = {"Reykjavik": 0, "Nairobi": 180, "Kathmandu": 345, "Accra": 0, "Dakar": 0, "Tunis": 60}
BETWEEN |= {"Lagos": 60, "Kigali": 120, "Lusaka": 120, "Riyadh": 180, "Dubai": 240, "Colombo": 330}
OFFSETS = WEST | EAST | BETWEEN
"""Cities that do not change their clocks, with the minutes they are ahead of UTC."""

GOODS = ["coffee", "tea", "flower", "newspaper", "ice cream", "fruit", "sandwich", "juice", "book"]
GIVEN = "Ana Ben Chika Dario Elif Farah Goran Hana Ivo Jun Kofi Lena Marek Nour Oskar Petra Rosa"
FAMILY = "Abe Bruno Castro Diaz Eze Falk Gupta Haas Ito Jansen Kimani Lopez Mora Novak Okeke Park"
CUSTOMERS = {"staff": (6, 1), "unflagged": (30, None), "known": (60, 0)}
"""How many there are of each group, with their flag."""

OPEN, CLOSED = 5 * 60, 23 * 60
"""Of the day, in minutes."""
DAY = 24 * 60


class Tills:
    """Sells what the plan says, and keeps what the tables hold of it."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.random = Random(facts["seed"])
        self.first, self.next = (datetime.fromisoformat(facts[day]) for day in ("first", "next"))
        self.prices = self.random.sample(range(250, 1800, 10), 12)
        self.receipts = iter(self.random.sample(range(16**5, 16**6), 5000))
        self.customers = [group for group, (many, _) in CUSTOMERS.items() for _ in range(many)]
        self.random.shuffle(self.customers)
        self.cities = list(facts["cities"])
        self.offsets = [OFFSETS[city] for city in self.cities]
        self.net = [0] * len(self.offsets)
        self.feed: list[tuple[str, str, int, int | None, str, int]] = []
        self.refunds: list[tuple[str, str, int | None]] = []
        self.trade(list(facts["cities"].values()), facts["percent"])

    def trade(self, roles: list[str], percent: int) -> None:
        """Let each city sell as much as is planned for its role, and the rival nearly enough."""
        (_, *names), *plan = (line.split() for line in PLAN.strip().splitlines())
        for kiosk, role in enumerate(roles):
            for kind, *cents in plan:
                left = int(cents[names.index(role)]) * percent // 100
                while left > 0:
                    left -= self.sell(kiosk, kind)
        winner, rival = roles.index("winner"), roles.index("rival")
        while self.net[winner] - self.net[rival] > MARGIN:
            self.sell(rival, "plain")

    def sell(self, kiosk: int, kind: str) -> int:
        """One sale, or two that look alike; returns its price."""
        cents = self.random.choice(self.prices)
        offset = self.offsets[kiosk]
        sold_at = self.local_time(offset, kind) - timedelta(minutes=offset)
        group = kind if kind in CUSTOMERS else "known"
        in_cash = kind == "cash" or (group == "known" and self.random.random() < 0.2)
        numbers = [number for number, its in enumerate(self.customers, start=1) if its == group]
        customer = None if in_cash else self.random.choice(numbers)
        for _ in range(2 if kind == "twins" else 1):
            receipt = f"R{next(self.receipts):X}"
            sent = [self.later(sold_at, 0, 1)]
            if kind.startswith("resent"):
                sent.append(self.later(sold_at, 60, 500))
            self.feed += [(at, receipt, kiosk + 1, customer, _utc(sold_at), cents) for at in sent]
            back = self.refund(kind, receipt, sold_at, cents)
            if kind not in NO_SALES:
                self.net[kiosk] += cents - back
        return cents

    def local_time(self, offset: int, kind: str) -> datetime:
        """When a sale of this kind is made, by the kiosk's clock."""
        if kind in ("lost", "gained"):
            east = offset > 0
            edge = self.first if east == (kind == "lost") else self.next
            return self.within(edge, *((OPEN, offset) if east else (offset, CLOSED - DAY)))
        if kind == "last_day":
            return self.within(self.next, 9 * 60 - DAY, 13 * 60 - DAY)
        before = self.first - timedelta(self.random.randint(3, 7))
        if kind == "refunded_early":
            return self.within(before, OPEN, CLOSED)
        if kind == "outside":
            after = self.next + timedelta(self.random.randint(2, 6))
            return self.within(self.random.choice((before, after)), OPEN, CLOSED)
        while True:
            day = self.first + timedelta(self.random.randrange((self.next - self.first).days))
            moment = self.within(day, OPEN, CLOSED)
            if self.first <= moment - timedelta(minutes=offset) < self.next:
                return moment

    def refund(self, kind: str, receipt: str, sold_at: datetime, cents: int) -> int:
        """Pay back what is to be paid back of a sale; returns how much that is."""
        third, since = cents // 30 * 10, sold_at
        amounts: tuple[int | None, ...] = ()
        if kind in ("refunded", "resent_refunded"):
            amounts = (None,)
        elif kind == "in_parts":
            amounts = (third, third)
        elif kind in ("refunded_early", "refunded_late"):
            amounts = (third,)
            since = self.first if kind == "refunded_early" else self.next
        for amount in amounts:
            self.refunds.append((receipt, self.later(since, DAY, 6 * DAY), amount))
        return sum(cents if amount is None else amount for amount in amounts)

    def later(self, moment: datetime, first: int, last: int) -> str:
        return _utc(self.within(moment, first, last))

    def within(self, moment: datetime, first: int, last: int) -> datetime:
        """A time between the first and the last minute from a moment on."""
        return moment + timedelta(seconds=self.random.randrange(first * 60, last * 60))

    def rows(self) -> dict[str, str]:
        """What stands in each table, as SQL."""
        people = [f"{given} {family}" for given in GIVEN.split() for family in FAMILY.split()]
        names = self.random.sample(people, len(self.customers))
        flags = [CUSTOMERS[group][1] for group in self.customers]
        days = self.random.sample(range(2000), len(self.cities))
        opened = [f"{date(2017, 1, 2) + timedelta(day)}" for day in days]
        return {
            "kiosks": _values(zip(self.cities, self.offsets, opened, strict=True)),
            "customers": _values(zip(names, flags, strict=True)),
            "sales_feed": _values(sorted(self.feed, key=itemgetter(0))),
            "refunds": _values(sorted(self.refunds, key=itemgetter(1))),
        }


def draw(random: Random) -> dict[str, Any]:
    """Another business in other cities and another month."""
    ahead, behind = random.sample((random.choice(list(WEST)), random.choice(list(EAST))), 2)
    staff, *others = random.sample([city for city in OFFSETS if city not in (ahead, behind)], 4)
    cities = {ahead: "winner", behind: "rival", staff: "staff"} | dict.fromkeys(others, "other")
    return _complete(
        goods=random.choice(GOODS),
        month=f"{random.randint(2023, 2025)}-{random.randint(1, 12):02}",
        cities=dict(random.sample(list(cities.items()), 6)),
        percent=random.randint(80, 120),
        seed=random.randrange(10**9),
    )


def _complete(**facts: Any) -> dict[str, Any]:
    """The facts, the rows they lead to, and what each query makes of them."""
    first = date.fromisoformat(f"{facts['month']}-01")
    after = (first + timedelta(31)).replace(day=1)
    facts |= {"first": f"{first}", "next": f"{after}", "last": f"{after - timedelta(1)}"}
    facts["month_in_words"] = f"{first:%B %Y}"
    facts["rows"] = Tills(facts).rows()
    queries = {"right": RIGHT, "shallow": SHALLOW}
    for name, changes in MISTAKES.items():
        queries[name] = RIGHT
        for part, instead in changes.items():
            queries[name] = queries[name].replace(part, instead)
    facts["queries"] = {name: render(query.strip(), facts) for name, query in queries.items()}
    # The harness gives this module no __file__.
    script = Path(draw.__code__.co_filename).with_name("database.sql")
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(render(script.read_text(encoding="utf-8"), facts))
        facts["results"] = {
            name: database.execute(query).fetchall() for name, query in facts["queries"].items()
        }
    return facts


def _utc(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"


def _values(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as they follow VALUES, with their numbers before them."""
    return ",\n".join(
        f"  ({', '.join(map(_literal, (number, *row)))})" for number, row in enumerate(rows, 1)
    )


def _literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return f"'{value}'" if isinstance(value, str) else str(value)


FIXED = _complete(
    goods="coffee",
    month="2025-03",
    cities={
        "Reykjavik": "other",
        "Nairobi": "other",
        "Kathmandu": "other",
        "Osaka": "rival",
        "Lima": "winner",
        "Phoenix": "staff",
    },
    percent=100,
    seed=20250331,
)
