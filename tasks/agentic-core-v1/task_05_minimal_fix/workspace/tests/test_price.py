import unittest

from src.price import Price, price


class RealOrders(unittest.TestCase):
    """Orders whose prices were worked out by hand."""
«% for order in orders %»

    def test_order_«order.number»(self):
        self.assertEqual(
            price(«order.lines»),
            «order.price»,
        )
«% endfor %»


class BadInput(unittest.TestCase):
    def test_no_lines(self):
        with self.assertRaises(ValueError):
            price([])

    def test_no_pieces(self):
        with self.assertRaises(ValueError):
            price([("«categories[1]»", 250, 0)])

    def test_no_price(self):
        with self.assertRaises(ValueError):
            price([("«categories[1]»", 0, 3)])


if __name__ == "__main__":
    unittest.main()
