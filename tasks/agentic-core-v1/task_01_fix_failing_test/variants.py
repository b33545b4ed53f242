"""A package that plans monthly payments: its names, its working days, its fault, its tests' dates.

Each file in faults/ tells of a function that may be wrong: its body as it is then (``wrong``), as
it is ``right``, as others would mend it too (``other``, ``another``), and as it would be mended
badly (``half``, which satisfies the tests, and ``guess``). One test fails: that of the plan's days,
or that of its amounts. The package's code is in templates/.
"""

import re
import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from harness.variant import render

# The package, what it splits, into what, and for whom.
TRADES = (
    "instalments|an amount of money|payment|customer",
    "tuition|the price of a course|fee|student",
    "leasing|the price of a lease|charge|lessee",
    "lending|a loan without interest|repayment|borrower",
    "pledges|a pledge|donation|donor",
    "cover|the price of an insurance policy|premium|policyholder",
    "memberships|a club's yearly fee|part|member",
)
COINS = ("cent|cents", "penny|pence", "centime|centimes", "rappen|rappen", "grosz|groszy")
NAMES = {
    "settle": "settle settle_day settlement_day",
    "is_workday": "is_workday is_working_day works_on",
    "split": "split split_evenly split_total",
    "due_dates": "due_dates due_days dates_due",
    "make_plan": "make_plan new_plan plan_for",
    "one_month_after": "one_month_after next_month month_later",
    "months_after": "months_after add_months months_later",
}
# The working week, how the package tells it, its first day, and the weekend.
WEEKS = (
    ("Monday to Friday", "day.weekday() < 5", "monday", (5, 6)),
    ("Sunday to Thursday", "day.weekday() not in (4, 5)", "sunday", (4, 5)),
)
SEASONS = ("a_winter", "a_spring", "a_summer", "an_autumn")

Facts = dict[str, Any]
Arguments = tuple[Any, ...]
Package = dict[str, Callable[..., Any]]


def _day(random: Random) -> date:
    """Any day of ten years, often one at the end of a month."""
    day = date(2019, 1, 1) + timedelta(random.randrange(3650))
    return day if random.random() < 0.5 else day.replace(day=1) - timedelta(random.randint(1, 4))


def _after_holiday(random: Random) -> Arguments:
    day = _day(random)
    return day, {day - timedelta(1)}


def _plan(random: Random) -> Arguments:
    """A plan's first day, its length, and a holiday on a day that it is planned for."""
    first = _day(random)
    later = [first + timedelta(days) for days in range(28, 125)]
    planned = [day for day in later if day.day == first.day and day.weekday() < 4]
    return (first, 5, {random.choice(planned)}) if planned else _plan(random)


# What the tests and the README call: a function, how its arguments are drawn, and what must be
# true of the result and them.
CALLS: dict[str, tuple[str, Callable[[Random], Arguments], Callable[..., bool]]] = {
    "same_day": ("step", lambda r: (_day(r), 1), lambda got, day, *_: got.day == day.day),
    "december": ("step", lambda r: (_day(r), 1), lambda got, day, *_: got.month == 1),
    "short": ("step", lambda r: (_day(r), 1), lambda got, day, *_: got.day < day.day),
    "shorter": ("step", lambda r: (_day(r), r.randint(1, 9)), lambda got, d, *_: got.day < d.day),
    "uneven": ("split", lambda r: (r.randint(400, 1200), 3), lambda got, *_: got[0] > got[2]),
    "more": ("split", lambda r: (r.randint(1201, 3000), 3), lambda got, *_: got[1] > got[2]),
    "single": ("due_dates", lambda r: (_day(r), 1), lambda got, day, _: got[0] > day),
    "days": ("due_dates", _plan, lambda *_: True),
    "amounts": ("make_plan", lambda r: (r.randint(1000, 9000), _day(r), 3), lambda *_: True),
    "workday": ("settle", lambda r: (_day(r),), lambda got, day: got == day),
    "itself": ("settle", lambda r: (_day(r),), lambda got, day: got == day),
    "weekend": ("settle", lambda r: (_day(r),), lambda got, day: (got - day).days == 2),
    "end": ("settle", lambda r: (_day(r),), lambda got, day: (got - day).days == -1),
    "holiday": ("settle", _after_holiday, lambda got, day, _: (got - day).days == -2),
    "readme": ("make_plan", lambda r: (100_000 << r.randint(0, 3), _day(r), 3), lambda *_: True),
}


def files(facts: Facts) -> dict[str, str]:
    """The package."""
    names = ("__init__", "months", "plan", "workdays")
    return {f"{facts['package']}/{name}.py": _module(name, facts) for name in names}


def _module(name: str, facts: Facts) -> str:
    return render((HERE / f"templates/{name}.py.jinja").read_text(encoding="utf-8"), facts)


# The harness gives this module no __file__.
HERE = Path(_module.__code__.co_filename).parent
FAULTS = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(HERE.glob("faults/*.toml"))
}


def draw(random: Random) -> Facts:
    """Another package, with the fault in any of its functions, and other tests."""
    facts = _facts(
        random.choice(list(FAULTS)),
        random.choice(TRADES),
        random.choice(COINS),
        random.choice(WEEKS),
        {name: random.choice(pool.split()) for name, pool in NAMES.items()},
    )
    packages = [_package(facts, form) for form in ("right", "half", "wrong")]
    return _complete(facts, {call: _arguments(random, facts, call, packages) for call in CALLS})


def _arguments(random: Random, facts: Facts, call: str, packages: list[Package]) -> Arguments:
    """Arguments for a call, on which the fault shows if it is the one that is to fail."""
    role, drawn, suits = CALLS[call]
    while True:
        arguments = drawn(random)
        if role == "step":
            arguments = arguments[: facts["step_takes"]]
        right, half, wrong = (str(package[role](*arguments)) for package in packages)
        as_it_must = call == "readme" or (right != wrong) == (call == facts["failing"])
        if as_it_must and right == half and suits(packages[0][role](*arguments), *arguments):
            return arguments


def _package(facts: Facts, form: str) -> Package:
    """The package's functions, with the one that may be wrong in one of its forms."""
    code = {**facts["code"], facts["function"]: facts[form]}
    defined: dict[str, Any] = {"__name__": facts["package"]}
    for name in ("months", "workdays", "plan"):
        text = _module(name, {**facts, "code": code})
        alone = re.sub(rf"from {facts['package']}\..*\n", "", text)
        exec(compile(alone, name, "exec", dont_inherit=True), defined)
    return {role: defined[facts[role]] for role in {role for role, *_ in CALLS.values()}}


def _facts(
    fault: str, trade: str, coin: str, week: tuple[Any, ...], names: dict[str, str]
) -> Facts:
    """The facts, but for what the tests call."""
    facts: Facts = {"fault": fault, **names}
    facts |= zip(("package", "whole", "item", "customer"), trade.split("|"), strict=True)
    facts |= zip(("coin", "coins"), coin.split("|"), strict=True)
    facts |= zip(("week", "in_week", "week_begins", "days_off"), week, strict=True)
    facts["Payment"] = facts["item"].capitalize()
    facts["step_takes"] = 1 if fault == "chained" else 2
    facts["step"] = names["one_month_after" if fault == "chained" else "months_after"]
    facts["failing"] = "amounts" if fault == "rounded" else "days"
    facts |= {key: render(text, facts) for key, text in FAULTS[fault].items()}
    others = (FAULTS[name] for name in ("guessed", "rounded", "sinking"))
    code = {other["function"]: render(other["right"], facts) for other in others}
    return {**facts, "code": {**code, facts["function"]: facts["wrong"]}}


def _complete(facts: Facts, calls: dict[str, Arguments]) -> Facts:
    """The facts, with every call as code, and what follows from it."""
    right, wrong = _package(facts, "right"), _package(facts, "wrong")
    got = {call: right[CALLS[call][0]](*arguments) for call, arguments in calls.items()}
    failing = facts["failing"]
    told = _dates if failing == "days" else _code
    total, _, count = calls["amounts"]
    shown = ("due_dates", calls["days"]) if failing == "days" else ("split", (total, count))
    return {
        **facts,
        **{call: {"given": _code(calls[call]), "got": _code(got[call])} for call in CALLS},
        "season": SEASONS[(calls["days"][0].month + 2) % 12 // 3],
        "days_due": _dates(got["days"]),
        "also_off": _code(calls["weekend"][0] + timedelta(1)),
        "printed": [" ".join(map(str, vars(each).values())) for each in got["readme"]],
        "expected": told(got[failing]),
        "found": told(wrong[CALLS[failing][0]](*calls[failing])),
        "shown": {
            "function": facts[shown[0]],
            "given": _code(shown[1][:2]),
            "got": _code(right[shown[0]](*shown[1])),
        },
    }


def _dates(days: list[date]) -> str:
    return ", ".join(f'"{day}"' for day in days)


def _code(value: Any) -> str:
    """A value as code; a tuple as arguments."""
    match value:
        case date():
            return f"date({value.year}, {value.month}, {value.day})"
        case int():
            return f"{value:_}" if value >= 100_000 else str(value)
        case tuple():
            return ", ".join(map(_code, value))
        case set():
            return f"{{{', '.join(map(_code, value))}}}"
        case list():
            return _list([_code(item) for item in value])
        case _:
            return f"{type(value).__name__}({_code(tuple(vars(value).values()))})"


def _list(items: list[str]) -> str:
    """A list in one line, or as it is laid out where it is too long for one."""
    line = f"[{', '.join(items)}]"
    if len(line) < 70:
        return line
    return "[\n" + "".join(f"{' ' * 12}{item},\n" for item in items) + f"{' ' * 8}]"


FIXED = _complete(
    _facts("chained", TRADES[0], COINS[0], WEEKS[0], {n: p.split()[0] for n, p in NAMES.items()}),
    {
        "same_day": (date(2024, 3, 15),),
        "december": (date(2023, 12, 5),),
        "short": (date(2024, 1, 31),),
        "shorter": (date(2023, 1, 30),),
        "uneven": (1000, 3),
        "more": (1001, 3),
        "single": (date(2024, 5, 4), 1),
        "days": (date(2024, 8, 21), 5, {date(2024, 10, 21)}),
        "amounts": (2001, date(2024, 7, 2), 2),
        "workday": (date(2024, 5, 1),),
        "itself": (date(2024, 5, 2),),
        "weekend": (date(2024, 5, 4),),
        "end": (date(2024, 3, 30),),
        "holiday": (date(2024, 3, 30), {date(2024, 3, 29)}),
        "readme": (100_000, date(2024, 1, 10), 3),
    },
)
