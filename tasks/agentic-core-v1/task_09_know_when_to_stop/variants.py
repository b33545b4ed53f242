"""A month's freight files with three gaps that forbid the report, and five that do not matter.

Of the three, two are of a kind that stops a program that looks things up, and one is of a kind
that goes unnoticed unless it is looked for. What could stand in for them is there in every
variant, whatever is lost, and covers everything; the handbook says that it must not be used.
"""

import calendar
from collections.abc import Iterable, Iterator
from datetime import date
from operator import itemgetter
from random import Random
from typing import Any

LOUD = ("dates", "sites", "currencies", "units")
QUIET = ("depots", "twice")
COMPANIES = "Aalto|Brandt & Vos|Castellane|Dunmore|Eklund|Ferreira|Grabowski|Halloran|Ilves|Jansen"
GOODS = "paint|tea and coffee|seeds|cleaning agents|tiles|olive oil|animal feed|glue|screws"
DEPOTS = "antwerp|bilbao|cork|dresden|esbjerg|gdansk|halmstad|linz|malmo|porto|riga|trieste|vaasa"
REGIONS = "North|East|South|West|Centre|Coast|Lakes|Hills|Islands|Border"
UNITS = "bag|bale|barrel|basket|box|canister|carton|crate|drum|keg|pallet|roll|sack|tub"
EUROS = {"GBP": 1.18, "CHF": 1.05, "SEK": 0.089, "NOK": 0.086, "DKK": 0.134, "PLN": 0.233}
EUROS |= {"CZK": 0.0402, "HUF": 0.00248, "RON": 0.201, "TRY": 0.0271}
Row = dict[str, Any]


def draw(random: Random) -> dict[str, Any]:
    """Another company in another month, with other gaps."""
    year, number = random.randint(2021, 2025), random.randint(2, 12)
    pools = {"depots": (DEPOTS, 7), "regions": (REGIONS, 6), "units": (UNITS, 8)}
    return _facts(
        {
            "company": random.choice(COMPANIES.split("|")),
            "goods": random.choice(GOODS.split("|")),
            "year": year,
            "number": number,
            "loud": random.choice(LOUD),
            "quiet": random.choice(QUIET),
            "dates": random.sample(_weekdays(year, number), 3),
            "sites": [f"S{code}" for code in random.sample(range(100, 1000), 33)],
            "currencies": random.sample(list(EUROS), 6),
            "seed": random.randrange(10**9),
        }
        | {name: random.sample(pool.split("|"), count) for name, (pool, count) in pools.items()}
    )


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    """The facts, with what follows from them: what is lost, and what is spared as none needs it."""
    year, number, sites = told["year"], told["number"], told["sites"]
    gaps = {kind: told[kind][:2] for kind in LOUD}
    gaps |= {"twice": sites[2:3], "depots": told["depots"][:1]}
    lost = {kind: gaps[kind] if kind in (told["loud"], told["quiet"]) else [] for kind in gaps}
    month, before = f"{year}-{number:02}", f"{year}-{number - 1:02}"
    paths = [f"deliveries/{month}/{depot}.csv" for depot in lost["depots"]]
    names = [name for kind in LOUD for name in lost[kind]]
    return told | {
        "month": month,
        "before": before,
        "month_name": f"{calendar.month_name[number]} {year}",
        "last_year": year - 1,
        "lost": lost,
        "spare": {kind: told[kind][2] for kind in LOUD} | {"sites": sites[3], "twice": sites[4]},
        "open": sorted(told["depots"][:5]),
        "former": told["depots"][5],
        "planned": told["depots"][6],
        "missing": [*names, *lost["twice"], *paths],
    }


def files(facts: dict[str, Any]) -> dict[str, str]:
    """The tables of the month, those of the month before, and what must not stand in for them."""
    random = Random(facts["seed"])
    tables = (_depots, _sites, _packages, _rates, _deliveries)
    return {path: text for write in tables for path, text in write(facts, random)}


def _depots(facts: dict[str, Any], random: Random) -> Iterator[tuple[str, str]]:
    year = facts["year"]
    depots = [(depot, f"{random.randint(2011, 2018)}-03-01", "") for depot in facts["open"]]
    depots.append((facts["former"], "2009-10-01", f"{year - 1}-08-31"))
    depots.append((facts["planned"], f"{year + 1}-02-01", ""))
    yield "depots.csv", _table("depot,opened,closed", sorted(depots))


def _sites(facts: dict[str, Any], random: Random) -> Iterator[tuple[str, str]]:
    """Each site in one of four regions, of which two are new; one is entered twice, as it was."""
    regions, lost, spare = facts["regions"][:4], facts["lost"], facts["spare"]
    places = [(site, random.choice(regions)) for site in facts["sites"][5:]]
    places.append(places[0])
    for site in (*lost["twice"], spare["twice"]):
        places += [(site, region) for region in random.sample(regions, 2)]
    places.sort(key=itemgetter(1, 0))
    yield "sites.csv", _table("site,region", places)
    old = [(site, random.choice(facts["regions"][2:])) for site in sorted(facts["sites"])]
    yield f"archive/sites-{facts['last_year']}.csv", _table("site,region", old)


def _packages(facts: dict[str, Any], random: Random) -> Iterator[tuple[str, str]]:
    unknown = {*facts["lost"]["units"], facts["spare"]["units"]}
    old = [(unit, random.randint(8, 60)) for unit in sorted({*facts["units"][2:], *unknown})]
    new = [(unit, "" if unit in unknown else kg + random.choice([-3, 2, 4])) for unit, kg in old]
    yield "packaging.csv", _table("unit,kg", new)
    yield f"archive/packaging-{facts['last_year']}.csv", _table("unit,kg", old)


def _rates(facts: dict[str, Any], random: Random) -> Iterator[tuple[str, str]]:
    known = sorted(facts["currencies"][3:])
    every = sorted([*known, *facts["lost"]["currencies"], facts["spare"]["currencies"]])
    before = _weekdays(facts["year"], facts["number"] - 1)
    for month, currencies, days in (
        (facts["month"], known, _days(facts)),
        (facts["before"], every, before),
    ):
        rows = [
            (day, *(f"{EUROS[each] * random.uniform(0.98, 1.02):.4g}" for each in currencies))
            for day in days
        ]
        yield f"rates/{month}.csv", _table(",".join(["date", *currencies]), rows)
    budget = [(currency, f"{EUROS[currency] * 1.03:.4g}") for currency in every]
    yield f"planning/rates-{facts['year']}.csv", _table("currency,eur", budget)


def _deliveries(facts: dict[str, Any], random: Random) -> Iterator[tuple[str, str]]:
    month, days = facts["month"], _days(facts)
    senders = [depot for depot in facts["open"] if depot not in facts["lost"]["depots"]]
    special = list(_special(facts))
    random.shuffle(special)
    for index, depot in enumerate(senders):
        rows = special[index :: len(senders)]
        yield f"deliveries/{month}/{depot}.csv", _ledger(facts, depot, days, random, rows)
    before = _weekdays(facts["year"], facts["number"] - 1)
    for depot in facts["open"]:
        yield f"deliveries/{facts['before']}/{depot}.csv", _ledger(facts, depot, before, random)
        yield f"forecasts/{month}/{depot}.csv", _ledger(facts, depot, days, random)


def _special(facts: dict[str, Any]) -> Iterator[Row]:
    """How the deliveries that meet a gap differ: two that count for each that is lost, then the
    rest, which do not need what is not there."""
    lost, spare, foreign = facts["lost"], facts["spare"], facts["currencies"][3:]
    for currency in foreign[:2]:
        yield from ({"date": day, "currency": currency} for day in lost["dates"])
        yield from ({"site": site} for site in (*lost["sites"], *lost["twice"]))
        yield from ({"currency": each} for each in lost["currencies"])
        yield from ({"unit": unit} for unit in lost["units"])
    saturday = next(day for day in _all_days(facts["year"], facts["number"]) if day.weekday() == 5)
    yield {"date": saturday.isoformat(), "currency": "EUR"}
    yield {"date": spare["dates"], "currency": "EUR"}
    yield {"date": spare["dates"], "currency": foreign[0], "status": "cancelled"}
    for site in (spare["sites"], spare["twice"]):
        yield {"site": site, "status": "cancelled"}
    yield {"unit": spare["units"], "status": "cancelled"}
    yield {"currency": spare["currencies"], "status": "cancelled"}


def _ledger(
    facts: dict[str, Any], depot: str, days: list[str], random: Random, special: Iterable[Row] = ()
) -> str:
    """A depot's file: ordinary deliveries, and the special ones among them, in order of time."""
    rows: list[Row] = []
    ordinary = [
        {"status": "cancelled" if random.random() < 0.1 else "delivered"} for _ in range(21)
    ]
    for given in (*ordinary, *special):
        row = {
            "date": random.choice(days),
            "site": random.choice(facts["sites"][5:]),
            "status": "delivered",
            "count": random.randint(2, 40),
            "unit": random.choice(facts["units"][3:]),
            "cost": f"{random.randint(4000, 90000) / 100:.2f}",
            "currency": random.choice(["EUR", *facts["currencies"][3:]]),
        }
        rows.append(row | given)
    rows.sort(key=lambda row: row["date"])
    first, code = random.randint(1000, 8000), depot[:3].upper()
    numbered = [(f"{code}{number}", *row.values()) for number, row in enumerate(rows, start=first)]
    return _table(",".join(["number", *rows[0]]), numbered)


def _days(facts: dict[str, Any]) -> list[str]:
    """The days of the month that have rates."""
    unknown = {*facts["lost"]["dates"], facts["spare"]["dates"]}
    return [day for day in _weekdays(facts["year"], facts["number"]) if day not in unknown]


def _weekdays(year: int, month: int) -> list[str]:
    return [day.isoformat() for day in _all_days(year, month) if day.weekday() < 5]


def _all_days(year: int, month: int) -> Iterator[date]:
    last = calendar.monthrange(year, month)[1]
    return (date(year, month, day) for day in range(1, last + 1))


def _table(headings: str, rows: Iterable[Iterable[Any]]) -> str:
    return "".join(f"{line}\n" for line in (headings, *(",".join(map(str, row)) for row in rows)))


SITES = (
    "S919 S359 S434 S303 S347 S298 S943 S218 S400 S588 S672 S727 S344 S249 S670 S746 "
    "S777 S613 S103 S387 S130 S956 S610 S277 S912 S933 S296 S620 S498 S288 S440 S430 "
    "S221"
)
FIXED = _facts(
    {
        "company": "Brandt & Vos",
        "goods": "tea and coffee",
        "year": 2025,
        "number": 5,
        "loud": "dates",
        "quiet": "depots",
        "dates": ["2025-05-14", "2025-05-27", "2025-05-01"],
        "sites": SITES.split(),
        "currencies": ["NOK", "DKK", "SEK", "GBP", "CHF", "PLN"],
        "depots": ["malmo", "antwerp", "cork", "gdansk", "trieste", "linz", "riga"],
        "regions": ["North", "East", "Coast", "Lakes", "Hills", "Centre"],
        "units": ["bag", "tub", "keg", "sack", "crate", "carton", "box", "pallet"],
        "seed": 20250531,
    }
)
