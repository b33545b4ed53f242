"""Whether the package behaves as documented, judged by values that the sandbox never sees.

What the model wrote runs in the sandbox only, and nothing it prints there is a verdict: the driver
reports what the package's functions gave back, and the comparison happens here.
"""

import calendar
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from harness.answers import shortened
from harness.calls import PYTHON, Call, Raises, last_line, wrong_call
from harness.records import Check, Verdict
from harness.task import FinishedRun

SECONDS = 5.0


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
    changed = run.changed_files()
    inside = [path for path in changed if path.startswith("instalments/") and path.endswith(".py")]
    strays = sorted(set(changed) - set(inside))
    return Check(
        name="only_the_package_changed",
        passed=not strays,
        detail=shortened(", ".join(strays)) or "nothing else changed",
    )


def _tests_pass(run: FinishedRun) -> Check:
    """A necessary sign only: hostile code can end this process as it likes."""
    tests = [p for p in (run.task.folder / "workspace" / "tests").iterdir() if p.suffix == ".py"]
    pristine = {f"tests/{path.name}": run.pristine(f"tests/{path.name}") for path in tests}
    result = run.execute([*PYTHON, "-m", "unittest"], put=pristine, seconds=SECONDS)
    return Check(
        name="tests_pass",
        passed=result.exit_code == 0 and result.stopped is None,
        detail=last_line(result),
    )


def _behaves_as_documented(run: FinishedRun) -> Check:
    wrong = wrong_call(run, [(each, _outcome(*each)) for each in _cases()], seconds=SECONDS)
    return Check(
        name="behaves_as_documented", passed=wrong is None, detail=wrong or "every call is right"
    )


# --- which calls are made ---------------------------------------------------------------------


def _cases() -> Iterator[Call]:
    """The same calls every time, with a weight on the ends of months."""
    draw = random.Random(20260610)
    for first in (date(2024, 1, 31), date(2023, 10, 30), date(2024, 2, 29), date(2025, 4, 30)):
        yield _call("due_dates", first, 14, frozenset())
    for _ in range(100):
        first = _any_day(draw)
        yield _call("due_dates", first, draw.randint(1, 14), _holidays(draw, first))
    for _ in range(40):
        first, total = _any_day(draw), draw.randint(0, 500_000)
        yield _call("make_plan", total, first, draw.randint(1, 12), _holidays(draw, first))
    for _ in range(60):
        day = _any_day(draw)
        yield _call("settle", day, _holidays(draw, day))
        yield _call("is_workday", day, _holidays(draw, day))
        yield _call("one_month_after", day)
        yield _call("split", draw.randint(0, 10_000), draw.randint(1, 12))
    for count in (0, -1):
        yield _call("due_dates", date(2024, 5, 2), count)
        yield _call("make_plan", 1000, date(2024, 5, 2), count)
        yield _call("split", 1000, count)
    yield _call("make_plan", -1, date(2024, 5, 2), 3)


def _call(function: str, *arguments: Any) -> Call:
    module = "instalments.months" if function == "one_month_after" else "instalments"
    return Call(f"{module}:{function}", arguments)


def _any_day(draw: random.Random) -> date:
    day = date(2019, 1, 1) + timedelta(days=draw.randrange(3650))
    end = calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=max(day.day, end - 3)) if draw.random() < 0.4 else day


def _holidays(draw: random.Random, first: date) -> frozenset[date]:
    days = draw.sample(range(-3, 400), draw.choice([0, 3, 12, 40]))
    return frozenset(first + timedelta(days=day) for day in days)


# --- what is documented -----------------------------------------------------------------------


class Payment(NamedTuple):
    due: date
    cents: int


def _outcome(function: str, arguments: tuple[Any, ...]) -> Any:
    """What a call must come to."""
    documented: dict[str, Callable[..., Any]] = {
        "instalments:due_dates": _due_dates,
        "instalments:make_plan": _make_plan,
        "instalments:settle": _settle,
        "instalments:is_workday": _is_workday,
        "instalments.months:one_month_after": lambda day: _months_after(day, 1),
        "instalments:split": _split,
    }
    try:
        return documented[function](*arguments)
    except ValueError:
        return Raises("ValueError")


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    end = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, end))


def _is_workday(day: date, holidays: frozenset[date] = frozenset()) -> bool:
    return day.weekday() not in (5, 6) and day not in holidays


def _settle(day: date, holidays: frozenset[date] = frozenset()) -> date:
    later = (day + timedelta(days=n) for n in range(1000))
    following = next(d for d in later if _is_workday(d, holidays))
    if (following.year, following.month) == (day.year, day.month):
        return following
    earlier = (day - timedelta(days=n) for n in range(1000))
    return next(d for d in earlier if _is_workday(d, holidays))


def _due_dates(first: date, count: int, holidays: frozenset[date] = frozenset()) -> list[date]:
    if count < 1:
        raise ValueError
    return [_settle(_months_after(first, n), holidays) for n in range(count)]


def _split(total: int, count: int) -> list[int]:
    if count < 1 or total < 0:
        raise ValueError
    return [total // count + (n < total % count) for n in range(count)]


def _make_plan(
    total: int, first: date, count: int, holidays: frozenset[date] = frozenset()
) -> list[Payment]:
    days, amounts = _due_dates(first, count, holidays), _split(total, count)
    return [Payment(due, cents) for due, cents in zip(days, amounts, strict=True)]
