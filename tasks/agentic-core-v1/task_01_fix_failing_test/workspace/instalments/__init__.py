"""Monthly payment plans: see README.md for the rules."""

from instalments.plan import Payment, due_dates, make_plan, split
from instalments.workdays import is_workday, settle

__all__ = ["Payment", "due_dates", "is_workday", "make_plan", "settle", "split"]
