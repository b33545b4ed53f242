import unittest
from datetime import date

from «package».months import «step»


class «step | replace('_', ' ') | title | replace(' ', '')»(unittest.TestCase):
    def test_same_day_of_the_following_month(self):
        self.assertEqual(«step»(«same_day.given»), «same_day.got»)

    def test_december_is_followed_by_january(self):
        self.assertEqual(«step»(«december.given»), «december.got»)

    def test_last_day_where_the_month_is_shorter(self):
        self.assertEqual(«step»(«short.given»), «short.got»)
        self.assertEqual(«step»(«shorter.given»), «shorter.got»)


if __name__ == "__main__":
    unittest.main()
