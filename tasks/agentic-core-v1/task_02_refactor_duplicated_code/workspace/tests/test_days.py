import unittest

«% for m in modules %»
from «package».«m.module» import «m.function»
«% endfor %»
«% for m in modules %»


class «m.module | capitalize»(unittest.TestCase):
    def test_a_day(self):
        self.assertEqual(«m.function»(«m.day»), «m.day_gives»)

    def test_a_long_day(self):
        self.assertEqual(«m.function»(«m.long_day»), «m.long_day_gives»)

    def test_no_work(self):
        self.assertEqual(«m.function»([]), «m.nothing_gives»)
«% endfor %»
