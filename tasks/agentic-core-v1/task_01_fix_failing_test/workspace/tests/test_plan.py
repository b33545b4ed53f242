import unittest
from datetime import date

from instalments import Payment, due_dates, make_plan, split


class Split(unittest.TestCase):
    def test_left_over_cents_go_to_the_first_payments(self):
        self.assertEqual(split(1000, 3), [334, 333, 333])
        self.assertEqual(split(1001, 3), [334, 334, 333])

    def test_bad_input_is_refused(self):
        with self.assertRaises(ValueError):
            split(1000, 0)
        with self.assertRaises(ValueError):
            split(-1, 2)


class DueDates(unittest.TestCase):
    def test_a_single_payment_on_a_weekend(self):
        self.assertEqual(due_dates(date(2024, 5, 4), 1), [date(2024, 5, 6)])

    def test_an_autumn_with_a_holiday(self):
        days = due_dates(date(2024, 8, 21), 5, {date(2024, 10, 21)})
        expected = ["2024-08-21", "2024-09-23", "2024-10-22", "2024-11-21", "2024-12-23"]
        self.assertEqual([day.isoformat() for day in days], expected)

    def test_no_payments_are_refused(self):
        with self.assertRaises(ValueError):
            due_dates(date(2024, 5, 4), 0)


class MakePlan(unittest.TestCase):
    def test_days_and_amounts_side_by_side(self):
        plan = make_plan(2001, date(2024, 7, 2), 2)
        self.assertEqual(plan, [Payment(date(2024, 7, 2), 1001), Payment(date(2024, 8, 2), 1000)])


if __name__ == "__main__":
    unittest.main()
