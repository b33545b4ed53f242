"""The fault in the price calculator, its shop, its rates, and the orders that its tests hold.

FAULTS holds, for each function that may be wrong, its body: as it is when wrong, when right, and
as others would mend it, rightly (``other``) and not (``lazy``); and the ``cause`` in a sentence.
"""

from collections import Counter
from difflib import ndiff
from fractions import Fraction
from itertools import pairwise
from math import floor
from random import Random
from typing import Any

FAULTS = {
    "percentage": {
        "cause": "The rates are floats, a little less than they look, so halves were rounded down.",
        "wrong": """    return rounded(amount * Decimal(percent) / 100)""",
        "right": """    return rounded(amount * Decimal(str(percent)) / 100)""",
        "other": """    tenths = round(percent * 10)
    return (amount * tenths + 500) // 1000""",
        "lazy": """    return int(amount * percent / 100 + 0.5)""",
    },
    "discount": {
        "cause": "Each percentage was applied to all the goods above its start.",
        "wrong": """    total = 0
    for start, percent in DISCOUNTS:
        if goods > start:
            total += percentage(goods - start, percent)
    return total""",
        "right": """    total = 0
    for start, percent in reversed(DISCOUNTS):
        if goods > start:
            total += percentage(goods - start, percent)
            goods = start
    return total""",
        "other": """    total = 0
    ends = [start for start, _ in DISCOUNTS[1:]] + [goods]
    for (start, percent), end in zip(DISCOUNTS, ends):
        if goods > start:
            total += percentage(min(goods, end) - start, percent)
    return total""",
        "lazy": """    total = before = 0
    for start, percent in DISCOUNTS:
        if goods > start:
            total += percentage(goods - start, percent - before)
            before = percent
    return total""",
    },
    "split": {
        "cause": "Every share was rounded on its own, so that they did not add up to the discount.",
        "wrong": """    goods = sum(sums.values())
    shares = {}
    for category, amount in sums.items():
        shares[category] = rounded(Decimal(discount * amount) / goods)
    return shares""",
        "right": """    goods = sum(sums.values())
    shares = {}
    for category, amount in sums.items():
        shares[category] = rounded(Decimal(discount * amount) / goods)
    shares[category] += discount - sum(shares.values())
    return shares""",
        "other": """    goods = sum(sums.values())
    *others, last = sums
    shares = {}
    for category in others:
        shares[category] = rounded(Decimal(discount * sums[category]) / goods)
    return shares | {last: discount - sum(shares.values())}""",
        "lazy": """    goods = sum(sums.values())
    shares = {}
    for category, amount in sums.items():
        shares[category] = rounded(Decimal(discount * amount) / goods)
    shares[max(sums, key=sums.get)] += discount - sum(shares.values())
    return shares""",
    },
    "tax": {
        "cause": "Tax was rounded for each category, where the rule has it rounded for each rate.",
        "wrong": """    total = 0
    for category, net in nets.items():
        total += percentage(net, TAX[category])
    return total""",
        "right": """    total = 0
    for rate in set(TAX.values()):
        net = sum(net for category, net in nets.items() if TAX[category] == rate)
        total += percentage(net, rate)
    return total""",
        "other": """    by_rate = dict.fromkeys(TAX.values(), 0)
    for category, net in nets.items():
        by_rate[TAX[category]] += net
    return sum(percentage(net, rate) for rate, net in by_rate.items())""",
        "lazy": """    parts = (net * Decimal(str(TAX[category])) for category, net in nets.items())
    return rounded(sum(parts) / 100)""",
    },
}

SHOPS = (
    "a garden shop|seeds bulbs tools pots soil gloves",
    "a toy shop|puzzles dolls kites trains books crayons",
    "a tea shop|green black herbal cups kettles tins",
    "a bicycle shop|tyres lamps bells saddles locks maps",
    "a stationer's|pens paper inks rulers folders stamps",
    "a music shop|strings reeds scores stands drums picks",
    "a pet shop|leashes bowls hay litter cages treats",
    "a camera shop|films frames lenses straps albums tripods",
)
COINS = ("cent|cents", "penny|pence", "centime|centimes", "grosz|groszy", "rappen|rappen")

# In floating point each of these is a little less than it looks, and half a cent is lost with it.
LOW, MIDDLE = (2.3, 2.8, 4.1, 4.6, 5.1, 8.2, 8.7), (9.2, 9.7, 10.2, 10.7, 16.4)
HIGH = (16.9, 17.4, 17.9, 18.9, 19.4, 19.9, 20.4, 20.9, 21.4)


Line = tuple[str, int, int]


def draw(random: Random) -> dict[str, Any]:
    """Another shop with other rates and orders, and the fault in any of the functions."""
    shop, names = random.choice(SHOPS).split("|")
    categories = random.sample(names.split(), 6)
    rates = [random.choice(pool) for pool in (LOW, MIDDLE, HIGH)] * 2
    starts = [random.randint(*ends) * 500 for ends in ((12, 20), (40, 72), (100, 160))]
    percents = [random.randint(*ends) for ends in ((1, 3), (4, 6), (7, 10))]
    facts = {
        "fault": random.choice(list(FAULTS)),
        "shop": shop,
        "coins": random.choice(COINS),
        "tax": dict(zip(categories, random.sample(rates, 6), strict=True)),
        "discounts": tuple(zip(starts, percents, strict=True)),
        "shipping": random.randint(7, 15) * 50 - 10,
        "free_from": starts[0] + random.randint(2, 8) * 500,
    }
    numbers = sorted(random.sample(range(1000, 9000), 6))
    failing = random.sample(numbers, 2)
    orders = {number: _order(random, facts, number in failing) for number in numbers}
    return _complete(facts, orders)


def _order(random: Random, facts: dict[str, Any], fails: bool) -> list[Line]:
    """Any order that the fault touches, or any that it does not."""
    while True:
        categories = random.choices(list(facts["tax"]), k=random.randint(1, 4))
        lines = [(c, random.randint(5, 120) * 50, random.randint(1, 5)) for c in categories]
        if fails == _fails(facts, lines):
            return lines


def _complete(facts: dict[str, Any], orders: dict[int, list[Line]]) -> dict[str, Any]:
    """Facts with what follows from them: texts for the workspace and for scripts."""
    name, fault = facts["fault"], FAULTS[facts["fault"]]
    marks = [line[0] for line in ndiff(fault["wrong"].split("\n"), fault["right"].split("\n"))]
    coin, coins = facts["coins"].split("|")
    return {
        **facts,
        **fault,
        "coin": coin,
        "coins": coins,
        "categories": list(facts["tax"]),
        "code": {each: FAULTS[each]["wrong" if each == name else "right"] for each in FAULTS},
        "spare": 10 - marks.count("+") - marks.count("-"),
        "orders": [
            {
                "number": number,
                "lines": str(lines).replace("'", '"'),
                "price": _price(facts, lines),
                "found": _price(facts, lines, name),
            }
            for number, lines in orders.items()
        ],
    }


def _fails(facts: dict[str, Any], lines: list[Line]) -> bool:
    return _price(facts, lines) != _price(facts, lines, facts["fault"])


def _price(facts: dict[str, Any], lines: list[Line], fault: str = "") -> str:
    """The price of an order as Python code: the right one, or what the fault makes of it."""
    sums: Counter[str] = Counter()
    for category, each, pieces in lines:
        sums[category] += each * pieces
    goods, discount = sums.total(), Fraction()
    for (start, percent), (end, _) in pairwise((*facts["discounts"], (goods, 0))):
        part = (goods if fault == "discount" else min(goods, end)) - start
        discount += Fraction(max(0, part) * percent, 100)
    shares = {c: _rounded(Fraction(_rounded(discount) * sums[c], goods)) for c in sums}
    if fault != "split":
        shares[list(sums)[-1]] += _rounded(discount) - sum(shares.values())
    taxed: Counter[tuple[Any, ...]] = Counter()
    for category, amount in sums.items():
        rate = facts["tax"][category]
        exact = Fraction(rate if fault == "percentage" else str(rate))
        taxed[exact, category if fault == "tax" else ""] += amount - shares[category]
    tax = sum(_rounded(amount * exact / 100) for (exact, _), amount in taxed.items())
    net = goods - sum(shares.values())
    shipping = 0 if net >= facts["free_from"] else facts["shipping"]
    discounts = str(shares).replace("'", '"')
    return (
        f"Price(goods={goods}, discounts={discounts}, tax={tax}, shipping={shipping}, "
        f"total={net + tax + shipping})"
    )


def _rounded(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


FIXED = _complete(
    {
        "fault": "tax",
        "shop": "a garden shop",
        "coins": "cent|cents",
        "tax": {
            "seeds": 4.6,
            "tools": 19.9,
            "bulbs": 4.6,
            "pots": 10.7,
            "gloves": 19.9,
            "soil": 10.7,
        },
        "discounts": ((8000, 2), (20000, 4), (50000, 7)),
        "shipping": 490,
        "free_from": 10000,
    },
    {
        1187: [("seeds", 250, 4), ("tools", 1990, 1)],
        1342: [("bulbs", 450, 3), ("seeds", 575, 1)],
        2043: [("soil", 600, 3), ("bulbs", 350, 2), ("seeds", 4550, 2), ("gloves", 3350, 5)],
        2291: [("gloves", 1750, 2), ("seeds", 380, 2)],
        3358: [("pots", 4350, 2)],
        3764: [("tools", 12990, 3), ("pots", 2600, 6), ("gloves", 899, 2)],
    },
)
