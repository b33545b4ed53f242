import unittest

from «package».clock import to_text


class Clock(unittest.TestCase):
    def test_before_ten(self):
        self.assertEqual(to_text(545), "9:05")

    def test_after_noon(self):
        self.assertEqual(to_text(810), "13:30")
