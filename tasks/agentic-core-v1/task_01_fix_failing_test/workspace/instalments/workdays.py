"""Working days, and where a payment moves that is planned for another day."""

from datetime import date, timedelta

ONE_DAY = timedelta(days=1)


def is_workday(day, holidays=frozenset()):
    """Whether ``day`` is a Monday to Friday and no holiday."""
    return day.weekday() < 5 and day not in holidays


def settle(day, holidays=frozenset()):
    """The working day on which a payment planned for ``day`` falls due.

    That is ``day`` itself or the next working day; where that lies in another month, the last
    working day before ``day``.
    """
    settled = day
    while not is_workday(settled, holidays):
        settled += ONE_DAY
    if settled.month == day.month:
        return settled
    settled = day
    while not is_workday(settled, holidays):
        settled -= ONE_DAY
    return settled
