import unittest
from datetime import date

from «package» import «[is_workday, settle] | sort | join(', ')»


class Workdays(unittest.TestCase):
    def test_weekends_and_holidays_are_no_workdays(self):
        self.assertTrue(«is_workday»(«workday.given»))
        self.assertFalse(«is_workday»(«workday.given», {«workday.given»}))
        self.assertFalse(«is_workday»(«weekend.given»))
        self.assertFalse(«is_workday»(«also_off»))

    def test_a_workday_settles_on_itself(self):
        self.assertEqual(«settle»(«itself.given»), «itself.got»)

    def test_a_weekend_settles_on_«week_begins»(self):
        self.assertEqual(«settle»(«weekend.given»), «weekend.got»)

    def test_the_end_of_a_month_settles_within_it(self):
        self.assertEqual(«settle»(«end.given»), «end.got»)
        self.assertEqual(«settle»(«holiday.given»), «holiday.got»)


if __name__ == "__main__":
    unittest.main()
