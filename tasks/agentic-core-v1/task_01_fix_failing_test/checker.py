"""Whether the package behaves as documented, judged by values that the sandbox never sees.

What the model wrote runs in the sandbox only, and nothing it prints there is a verdict: the driver
reports what the package's functions gave back, and the comparison happens here.
"""

import calendar
import json
import random
import secrets
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from harness.answers import shortened
from harness.records import Check, Verdict
from harness.sandbox import CommandResult
from harness.task import FinishedRun

# Isolated, without site-packages, and deaf to compiled files that the model may have left.
PYTHON = ("python3", "-I", "-S", "-B", "-X", "pycache_prefix=/nonexistent")
SECONDS = 10.0

Call = tuple[str, list[Any]]


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
        detail=_last_line(result),
    )


def _behaves_as_documented(run: FinishedRun) -> Check:
    cases = list(_cases())
    expected = [json.dumps(_outcome(*case), sort_keys=True) for case in cases]
    nonce = secrets.token_hex(16)
    job = json.dumps({"nonce": nonce, "calls": [_encode(case) for case in cases]})
    driver = (run.task.folder / "driver.py").read_text(encoding="utf-8")
    result = run.execute([*PYTHON, "-c", driver], stdin=job, seconds=SECONDS)
    found = _results(result, nonce)
    if len(found) != len(cases):
        passed, detail = False, f"the package could not be used: {_last_line(result)}"
    else:
        wrong = [index for index in range(len(cases)) if found[index] != expected[index]]
        passed, detail = not wrong, f"{len(wrong)} of {len(cases)} calls wrong"
        if wrong:
            detail += f"; {_difference(cases[wrong[0]], expected[wrong[0]], found[wrong[0]])}"
    return Check(name="behaves_as_documented", passed=passed, detail=detail)


def _difference(case: Call, expected: str, found: str) -> str:
    function, arguments = case
    shown = shortened(", ".join(str(_plain(argument)) for argument in arguments))
    return f"{function}({shown}): expected {shortened(expected)}, got {shortened(found)}"


def _results(result: CommandResult, nonce: str) -> list[str]:
    """What the driver reported, as JSON text; nothing where something else spoke in its place."""
    try:
        report = json.loads(result.stdout)
    except (ValueError, RecursionError):
        return []
    if not isinstance(report, dict) or report.get("nonce") != nonce:
        return []
    results = report.get("results")
    return [each for each in results if isinstance(each, str)] if isinstance(results, list) else []


def _last_line(result: CommandResult) -> str:
    if result.stopped is not None:
        return f"stopped: {result.stopped} limit"
    lines = result.stderr[-2000:].decode(errors="replace").strip().splitlines() or ["no output"]
    return f"exit code {result.exit_code}: {shortened(lines[-1])}"


def _encode(case: Call) -> Call:
    """A call as the driver reads it: dates as tagged text."""
    function, arguments = case
    tagged: list[Any] = []
    for argument in arguments:
        plain = _plain(argument)
        tag = {date: "date", frozenset: "dates"}.get(type(argument))
        tagged.append({tag: plain} if tag else plain)
    return function, tagged


def _plain(argument: Any) -> Any:
    if isinstance(argument, frozenset):
        return sorted(day.isoformat() for day in argument)
    return argument.isoformat() if isinstance(argument, date) else argument


# --- which calls are made ---------------------------------------------------------------------


def _cases() -> Iterator[Call]:
    """The same calls every time, with a weight on the ends of months."""
    draw = random.Random(20260610)
    for first in (date(2024, 1, 31), date(2023, 10, 30), date(2024, 2, 29), date(2025, 4, 30)):
        yield "due_dates", [first, 14, frozenset()]
    for _ in range(100):
        first = _any_day(draw)
        yield "due_dates", [first, draw.randint(1, 14), _holidays(draw, first)]
    for _ in range(40):
        first, total = _any_day(draw), draw.randint(0, 500_000)
        yield "make_plan", [total, first, draw.randint(1, 12), _holidays(draw, first)]
    for _ in range(60):
        day = _any_day(draw)
        yield "settle", [day, _holidays(draw, day)]
        yield "is_workday", [day, _holidays(draw, day)]
        yield "one_month_after", [day]
        yield "split", [draw.randint(0, 10_000), draw.randint(1, 12)]
    for count in (0, -1):
        yield "due_dates", [date(2024, 5, 2), count]
        yield "make_plan", [1000, date(2024, 5, 2), count]
        yield "split", [1000, count]
    yield "make_plan", [-1, date(2024, 5, 2), 3]


def _any_day(draw: random.Random) -> date:
    day = date(2019, 1, 1) + timedelta(days=draw.randrange(3650))
    end = calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=max(day.day, end - 3)) if draw.random() < 0.4 else day


def _holidays(draw: random.Random, first: date) -> frozenset[date]:
    days = draw.sample(range(-3, 400), draw.choice([0, 3, 12, 40]))
    return frozenset(first + timedelta(days=day) for day in days)


# --- what is documented -----------------------------------------------------------------------


def _outcome(function: str, arguments: list[Any]) -> Any:
    """What a call must come to, in the driver's spelling."""
    documented: dict[str, Callable[..., Any]] = {
        "due_dates": _due_dates,
        "make_plan": _make_plan,
        "settle": lambda *a: _settle(*a).isoformat(),
        "is_workday": _is_workday,
        "one_month_after": lambda day: _months_after(day, 1).isoformat(),
        "split": _split,
    }
    try:
        return documented[function](*arguments)
    except ValueError:
        return "ValueError"


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


def _due_dates(first: date, count: int, holidays: frozenset[date] = frozenset()) -> list[str]:
    if count < 1:
        raise ValueError
    return [_settle(_months_after(first, n), holidays).isoformat() for n in range(count)]


def _split(total: int, count: int) -> list[int]:
    if count < 1 or total < 0:
        raise ValueError
    return [total // count + (n < total % count) for n in range(count)]


def _make_plan(
    total: int, first: date, count: int, holidays: frozenset[date] = frozenset()
) -> list[dict[str, Any]]:
    days, amounts = _due_dates(first, count, holidays), _split(total, count)
    return [{"due": due, "cents": cents} for due, cents in zip(days, amounts, strict=True)]
