"""The closed month, booked once more out here from the facts of the variant."""

import hashlib
import re
from collections import defaultdict

from harness.answers import shortened
from harness.records import Check, Verdict
from harness.task import FinishedRun

STOCK, CLOSING = "data/stock.csv", "out/closing.csv"
CODE = re.compile(
    r"(?<![0-9A-Z])(?:0x)?"
    r"([0-9A-F]{8}|[0-9A-F]{4}[ .:_-][0-9A-F]{4}|(?:[0-9A-F]{2}[ .:_-]){3}[0-9A-F]{2})"
    r"(?![0-9A-Z])",
    re.IGNORECASE,
)
"""Eight digits, or groups of them: ``DEAD-BEEF`` offers a code as well."""
DATE = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")

Stock = dict[str, int]


def check(run: FinishedRun) -> Verdict:
    """Accept the right stock, closing and code, however they came about, and inputs left alone."""
    stock = _final_stock(run)
    rates = _rates(run, stock)
    place, units = run.facts["place"], run.facts["units"]
    rows = [(name, n, n * rates[name[0]]) for name, n in sorted(stock.items())]
    closing = [f"{place},{units},cents", *(f"{name},{n},{cents}" for name, n, cents in rows)]
    return Verdict(
        checks=(
            _inputs(run),
            _table(run, STOCK, [f"{place},{units}", *(f"{name},{n}" for name, n, _ in rows)]),
            _table(run, CLOSING, closing),
            _code(run, closing),
        )
    )


def _inputs(run: FinishedRun) -> Check:
    """What the run began with is there unchanged, but for the stock; a new file does no harm."""
    kept = [path for path in run.variant.files if path != STOCK]
    altered = [path for path in kept if run.read(path) != run.pristine(path)]
    return Check(
        name="inputs",
        passed=not altered,
        detail=shortened(", ".join(altered)) or "all as they were",
    )


def _table(run: FinishedRun, path: str, expected: list[str]) -> Check:
    """The file has these lines, whatever ends them."""
    found = (run.read(path) or "").splitlines()
    pairs = zip([*expected, "(end)"], [*found, "(end)"], strict=False)
    wrong = next((pair for pair in pairs if pair[0] != pair[1]), None)
    return Check(
        name=path.partition("/")[2].removesuffix(".csv"),
        passed=found == expected,
        detail=f"{path}: expected {wrong[0]}, got {shortened(wrong[1])}" if wrong else "right",
    )


def _code(run: FinishedRun, closing: list[str]) -> Check:
    text = "".join(f"{line}\n" for line in closing)
    expected = hashlib.sha256(text.encode()).hexdigest()[:8].upper()
    return Check(
        name="code",
        passed=_codes(run.answer) == {expected},
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )


def _codes(answer: str) -> set[str]:
    """The codes that an answer gives; neither a date nor two numbers side by side is one."""
    found = {written.upper() for written in CODE.findall(answer)}
    return {
        "".join(filter(str.isalnum, code))
        for code in found
        if not (code.isdigit() and DATE.fullmatch(code))
        and (len(code) == 8 or re.search("[A-F]", code))
    }


# --- the month, in the order in which it happened ---------------------------------------------


def _final_stock(run: FinishedRun) -> Stock:
    stock: Stock = run.facts["stock"]
    bookings = {"deliveries": _with_deliveries, "losses": _without_losses, "moves": _moved}
    for step in run.facts["order"]:
        stock = bookings[step](run, stock)
    return stock


def _with_deliveries(run: FinishedRun, stock: Stock) -> Stock:
    delivered = run.facts["delivered"]
    return {place: stock.get(place, 0) + delivered.get(place, 0) for place in {*stock, *delivered}}


def _without_losses(run: FinishedRun, stock: Stock) -> Stock:
    lost = run.facts["lost"]
    return {place: units - units * lost.get(place, 0) // 100 for place, units in stock.items()}


def _moved(run: FinishedRun, stock: Stock) -> Stock:
    result: Stock = defaultdict(int)
    for place, units in stock.items():
        result[run.facts["moved"].get(place, place)] += units
    return dict(result)


def _rates(run: FinishedRun, final: Stock) -> dict[str, int]:
    """By aisle, in cents: those of the class that the store was or is in."""
    surveyed = run.facts["stock"] if run.facts["surveyed_first"] else final
    store_class = 1 if sum(surveyed.values()) <= run.facts["limit"] else 2
    rates: dict[str, int] = run.facts["rates"][store_class - 1]
    return rates
