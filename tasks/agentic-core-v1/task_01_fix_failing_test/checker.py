"""Whether the package behaves as documented, judged by values that the sandbox never sees.

What the model wrote runs in the sandbox only, and nothing it prints there is a verdict: the driver
reports what the package's functions gave back, and the comparison happens here.
"""

import calendar
import random
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from harness.answers import shortened
from harness.calls import Call, Raises, failed_tests, wrong_call
from harness.records import Check, Verdict
from harness.task import FinishedRun

NONE: frozenset[date] = frozenset()


def check(run: FinishedRun) -> Verdict:
    """Accept a package that behaves as documented, where nothing but the package has changed.

    Each check is made only where those before it passed: a package that was led out of its
    folder, or hangs in its own tests, is not run any further.
    """
    checks: list[Check] = []
    for look in (_only_the_package_changed, _tests_pass, _behaves_as_documented):
        checks.append(look(run))
        if not checks[-1].passed:
            break
    return Verdict(checks=tuple(checks))


def _only_the_package_changed(run: FinishedRun) -> Check:
    folder = f"{run.facts['package']}/"
    strays = [
        path
        for path in run.changed_files()
        if not (path.startswith(folder) and path.endswith(".py"))
    ]
    return Check(
        name="only_the_package_changed",
        passed=not strays,
        detail=shortened(", ".join(strays)) or "nothing else changed",
    )


def _tests_pass(run: FinishedRun) -> Check:
    tests = {path: run.pristine(path) for path in run.variant.files if path.startswith("tests/")}
    failed = failed_tests(run, put=tests)
    return Check(name="tests_pass", passed=failed is None, detail=failed or "every test passes")


def _behaves_as_documented(run: FinishedRun) -> Check:
    rules, names = Documented(run), run.facts
    expected = [
        (Call(f"{names['package']}{_MODULES.get(role, '')}:{names[role]}", args), rules(role, args))
        for role, args in _cases(names["step_takes"])
    ]
    wrong = wrong_call(run, expected)
    return Check(
        name="behaves_as_documented", passed=wrong is None, detail=wrong or "every call is right"
    )


_MODULES = {"step": ".months"}
"""Where a function is that the package itself does not offer."""


def _cases(step_takes: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Functions and arguments, the same every time, with a weight on the ends of months."""
    draw = random.Random(20260610)
    for year in (1999, 2023, 2024, 2099):
        for month, end in ((1, 31), (2, 28), (4, 30), (10, 30), (11, 29)):
            yield "due_dates", (date(year, month, end), 14, NONE)
            yield "step", (date(year, month, end), 15 - month)[:step_takes]
    for _ in range(100):
        first = _any_day(draw)
        yield "due_dates", (first, draw.randint(1, 14), _holidays(draw, first))
    for _ in range(40):
        first, total = _any_day(draw), draw.randint(0, 500_000)
        yield "make_plan", (total, first, draw.randint(1, 12), _holidays(draw, first))
    for _ in range(60):
        day = _any_day(draw)
        yield "settle", (day, _holidays(draw, day))
        yield "is_workday", (day, _holidays(draw, day))
        yield "step", (day, draw.randint(0, 30))[:step_takes]
        yield "split", (draw.randint(0, 10_000), draw.randint(1, 12))
    for count in (0, -1):
        yield "due_dates", (date(2024, 5, 2), count)
        yield "make_plan", (1000, date(2024, 5, 2), count)
        yield "split", (1000, count)
    yield "make_plan", (-1, date(2024, 5, 2), 3)


def _any_day(draw: random.Random) -> date:
    day = date(2019, 1, 1) + timedelta(days=draw.randrange(3650))
    end = calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=max(day.day, end - 3)) if draw.random() < 0.4 else day


def _holidays(draw: random.Random, first: date) -> frozenset[date]:
    days = draw.sample(range(-3, 400), draw.choice([0, 3, 12, 40]))
    return frozenset(first + timedelta(days=day) for day in days)


class Documented:
    """What the README and the docstrings say that each function comes to."""

    def __init__(self, run: FinishedRun) -> None:
        self._days_off = run.facts["days_off"]
        self._payment = namedtuple(run.facts["Payment"], ("due", run.facts["coins"]))

    def __call__(self, role: str, arguments: tuple[Any, ...]) -> Any:
        """What a call must come to."""
        try:
            return getattr(self, role)(*arguments)
        except ValueError:
            return Raises("ValueError")

    def step(self, day: date, months: int = 1) -> date:
        year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
        end = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(day.day, end))

    def is_workday(self, day: date, holidays: frozenset[date] = NONE) -> bool:
        return day.weekday() not in self._days_off and day not in holidays

    def settle(self, day: date, holidays: frozenset[date] = NONE) -> date:
        later = (day + timedelta(days=n) for n in range(1000))
        following = next(d for d in later if self.is_workday(d, holidays))
        if (following.year, following.month) == (day.year, day.month):
            return following
        earlier = (day - timedelta(days=n) for n in range(1000))
        return next(d for d in earlier if self.is_workday(d, holidays))

    def due_dates(self, first: date, count: int, holidays: frozenset[date] = NONE) -> list[date]:
        if count < 1:
            raise ValueError
        return [self.settle(self.step(first, n), holidays) for n in range(count)]

    def split(self, total: int, count: int) -> list[int]:
        if count < 1 or total < 0:
            raise ValueError
        return [total // count + (n < total % count) for n in range(count)]

    def make_plan(
        self, total: int, first: date, count: int, holidays: frozenset[date] = NONE
    ) -> list[tuple[date, int]]:
        days, amounts = self.due_dates(first, count, holidays), self.split(total, count)
        return [self._payment(*each) for each in zip(days, amounts, strict=True)]
