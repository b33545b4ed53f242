import unittest
from datetime import date

from «package» import «[Payment, due_dates, make_plan, split] | join(', ')»


class «split | replace('_', ' ') | title | replace(' ', '')»(unittest.TestCase):
    def test_left_over_«coins»_go_to_the_first_«item»s(self):
        self.assertEqual(«split»(«uneven.given»), «uneven.got»)
        self.assertEqual(«split»(«more.given»), «more.got»)

    def test_bad_input_is_refused(self):
        with self.assertRaises(ValueError):
            «split»(1000, 0)
        with self.assertRaises(ValueError):
            «split»(-1, 2)


class «due_dates | replace('_', ' ') | title | replace(' ', '')»(unittest.TestCase):
    def test_a_single_«item»_on_a_weekend(self):
        self.assertEqual(«due_dates»(«single.given»), «single.got»)

    def test_«season»_with_a_holiday(self):
        days = «due_dates»(«days.given»)
        expected = [«days_due»]
        self.assertEqual([day.isoformat() for day in days], expected)

    def test_no_«item»s_are_refused(self):
        with self.assertRaises(ValueError):
            «due_dates»(date(2024, 5, 4), 0)


class «make_plan | replace('_', ' ') | title | replace(' ', '')»(unittest.TestCase):
    def test_days_and_amounts_side_by_side(self):
        plan = «make_plan»(«amounts.given»)
        self.assertEqual(plan, «amounts.got»)


if __name__ == "__main__":
    unittest.main()
