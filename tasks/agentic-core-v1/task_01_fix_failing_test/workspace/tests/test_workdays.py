import unittest
from datetime import date

from instalments import is_workday, settle


class Workdays(unittest.TestCase):
    def test_weekends_and_holidays_are_no_workdays(self):
        self.assertTrue(is_workday(date(2024, 5, 1)))
        self.assertFalse(is_workday(date(2024, 5, 1), {date(2024, 5, 1)}))
        self.assertFalse(is_workday(date(2024, 5, 4)))
        self.assertFalse(is_workday(date(2024, 5, 5)))

    def test_a_workday_settles_on_itself(self):
        self.assertEqual(settle(date(2024, 5, 2)), date(2024, 5, 2))

    def test_a_weekend_settles_on_monday(self):
        self.assertEqual(settle(date(2024, 5, 4)), date(2024, 5, 6))

    def test_the_end_of_a_month_settles_within_it(self):
        self.assertEqual(settle(date(2024, 3, 30)), date(2024, 3, 29))
        self.assertEqual(settle(date(2024, 3, 30), {date(2024, 3, 29)}), date(2024, 3, 28))


if __name__ == "__main__":
    unittest.main()
