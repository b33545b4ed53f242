"""Stepping through months."""

import calendar


def one_month_after(day):
    """The same day of the following month, or that month's last day if it has no such day."""
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    last = calendar.monthrange(year, month)[1]
    return day.replace(year=year, month=month, day=min(day.day, last))
