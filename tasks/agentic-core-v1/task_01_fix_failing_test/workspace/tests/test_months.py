import unittest
from datetime import date

from instalments.months import one_month_after


class OneMonthAfter(unittest.TestCase):
    def test_same_day_of_the_following_month(self):
        self.assertEqual(one_month_after(date(2024, 3, 15)), date(2024, 4, 15))

    def test_december_is_followed_by_january(self):
        self.assertEqual(one_month_after(date(2023, 12, 5)), date(2024, 1, 5))

    def test_last_day_where_the_month_is_shorter(self):
        self.assertEqual(one_month_after(date(2024, 1, 31)), date(2024, 2, 29))
        self.assertEqual(one_month_after(date(2023, 1, 30)), date(2023, 2, 28))


if __name__ == "__main__":
    unittest.main()
