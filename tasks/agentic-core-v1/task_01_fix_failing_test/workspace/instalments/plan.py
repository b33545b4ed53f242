"""Payment plans: how much is due, and when."""

from dataclasses import dataclass
from datetime import date
from itertools import islice

from instalments.months import one_month_after
from instalments.workdays import settle


@dataclass(frozen=True)
class Payment:
    """One payment of a plan."""

    due: date
    cents: int


def make_plan(total_cents, first, count, holidays=frozenset()):
    """The plan for paying ``total_cents`` in ``count`` monthly payments from ``first`` on."""
    amounts = split(total_cents, count)
    days = due_dates(first, count, holidays)
    return [Payment(due, cents) for due, cents in zip(days, amounts, strict=True)]


def split(total_cents, count):
    """``count`` amounts that add up to ``total_cents``, the larger ones first."""
    if count < 1:
        raise ValueError("a plan has at least one payment")
    if total_cents < 0:
        raise ValueError("the total cannot be negative")
    each, left = divmod(total_cents, count)
    return [each + 1] * left + [each] * (count - left)


def due_dates(first, count, holidays=frozenset()):
    """The days on which ``count`` payments fall due, in order, the first planned for ``first``."""
    if count < 1:
        raise ValueError("a plan has at least one payment")
    return list(islice(_working_days(first, holidays), count))


def _working_days(first, holidays):
    """Month after month, without end, the day on which a payment falls due."""
    due = settle(first, holidays)
    while True:
        yield due
        due = settle(one_month_after(due), holidays)
