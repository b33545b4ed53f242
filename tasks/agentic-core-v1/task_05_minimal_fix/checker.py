"""Whether a small change mended the price calculator, judged by prices worked out here.

What the model wrote runs in the sandbox only, on files of which all but ``src/price.py`` are
pristine, and nothing it prints there is a verdict.
"""

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from harness.answers import shortened
from harness.calls import Call, Raises, failed_tests, wrong_call
from harness.records import Check, Verdict
from harness.task import FinishedRun

MENDED = "src/price.py"
MOST_LINES, LONGEST_LINE, MOST_CHARACTERS = 10, 100, 20_000

Line = tuple[str, int, int]


def check(run: FinishedRun) -> Verdict:
    """Accept a price calculator that keeps to its rules, changed in at most ten lines.

    Its code is run only where no other file has changed, and called only where the tests pass.
    """
    checks = [_small_change(run), _short_lines(run), _only_price_changed(run)]
    for look in (_tests_pass, _keeps_to_the_rules):
        if checks[-1].passed:
            checks.append(look(run))
    return Verdict(checks=tuple(checks))


def _small_change(run: FinishedRun) -> Check:
    size = _difference(run.pristine(MENDED).split("\n"), _lines(run))
    return Check(
        name="small_change",
        passed=size <= MOST_LINES,
        detail=f"the diff has {size} lines, at most {MOST_LINES} are allowed",
    )


def _lines(run: FinishedRun) -> list[str]:
    """The mended file's lines; none where there is no such file, or one too long to compare."""
    text = run.read(MENDED)
    return text.split("\n") if text is not None and len(text) <= MOST_CHARACTERS else []


def _difference(before: list[str], after: list[str]) -> int:
    """How many lines are added and removed in the shortest of all diffs.

    Not by difflib, whose diffs may be longer: a model that counted in another tool's is right.
    """
    row = list(range(len(after) + 1))
    for count, line in enumerate(before, start=1):
        above, row = row, [count]
        for index, other in enumerate(after):
            same = line == other
            row.append(above[index] if same else 1 + min(above[index + 1], row[index]))
    return row[-1]


def _short_lines(run: FinishedRun) -> Check:
    longest = max(map(len, _lines(run)), default=0)
    return Check(
        name="short_lines",
        passed=longest <= LONGEST_LINE,
        detail=f"the longest line has {longest} characters, at most {LONGEST_LINE} are allowed",
    )


def _only_price_changed(run: FinishedRun) -> Check:
    strays = [path for path in run.changed_files() if path != MENDED]
    return Check(
        name="only_price_changed",
        passed=not strays,
        detail=shortened(", ".join(strays)) or "nothing else changed",
    )


def _around(run: FinishedRun) -> dict[str, str]:
    """What is put over a copy of the workspace: all other files as they were."""
    return {path: run.pristine(path) for path in run.variant.files if path != MENDED}


def _tests_pass(run: FinishedRun) -> Check:
    failed = failed_tests(run, put=_around(run))
    return Check(name="tests_pass", passed=failed is None, detail=failed or "every test passes")


def _keeps_to_the_rules(run: FinishedRun) -> Check:
    orders = [
        (Call("src.price:price", (order,)), _price(run.facts, order))
        for order in _orders(run.facts)
    ]
    wrong = wrong_call(run, orders, put=_around(run))
    return Check(name="keeps_to_the_rules", passed=wrong is None, detail=wrong or "all are right")


def _orders(facts: Any) -> Iterator[list[Line]]:
    """The same orders every time, with a weight on where rules begin and rounding turns."""
    categories, starts = facts["categories"], [start for start, _ in facts["discounts"]]
    draw = Random(20260610)
    for _ in range(300):
        chosen = draw.choices(categories, k=draw.randint(1, 5))
        yield [(each, draw.randint(100, 12_000), draw.randint(1, 5)) for each in chosen]
    for category, rate in facts["tax"].items():
        # Just under half a cent of tax, or half a cent.
        rest = {amount: amount * round(rate * 10) % 1000 for amount in range(1, starts[0])}
        yield from ([(category, amount, 1)] for amount in rest if 495 < rest[amount] <= 500)
    for amount in (*starts, facts["free_from"]):
        for near in (*range(amount - 3, amount + 4), *range(amount + 25, amount + 400, 25)):
            yield [(categories[0], near - 1000, 1), (categories[1], 500, 2)]
    yield from ([], [(categories[0], 0, 1)], [(categories[0], 100, 0)], [(categories[0], -5, 1)])


class Price(NamedTuple):
    goods: int
    discounts: dict[str, int]
    tax: int
    shipping: int
    total: int


def _price(facts: Any, order: list[Line]) -> Price | Raises:
    """What an order costs by the rules of README.md, in whole numbers throughout."""
    if not order or any(each < 1 or pieces < 1 for _, each, pieces in order):
        return Raises("ValueError")
    named = list(dict.fromkeys(category for category, _, _ in order))
    sums = [sum(each * pieces for c, each, pieces in order if c == name) for name in named]
    goods, discount, below = sum(sums), 0, 0
    for start, percent in facts["discounts"]:
        discount += max(0, goods - start) * (percent - below)
        below = percent
    discount = _half_up(discount, 100)
    shares = [_half_up(discount * amount, goods) for amount in sums[:-1]]
    shares.append(discount - sum(shares))
    tax = 0
    for rate in {facts["tax"][name] for name in named}:
        parts = zip(named, sums, shares, strict=True)
        net = sum(amount - share for name, amount, share in parts if facts["tax"][name] == rate)
        tax += _half_up(net * round(rate * 10), 1000)
    shipping = facts["shipping"] if goods - discount < facts["free_from"] else 0
    total = goods - discount + tax + shipping
    return Price(goods, dict(zip(named, shares, strict=True)), tax, shipping, total)


def _half_up(amount: int, divisor: int) -> int:
    return (2 * amount + divisor) // (2 * divisor)
