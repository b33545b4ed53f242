"""What an order costs. README.md states the rules; all amounts are whole «coins»."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

# Tax in percent, by category.
TAX = {
«% for category, rate in tax.items() %»
    "«category»": «rate»,
«% endfor %»
}

# Where a part of the goods begins, and the discount on that part in percent.
DISCOUNTS = (
«% for start, percent in discounts %»
    («start», «percent»),
«% endfor %»
)

SHIPPING = «shipping»
FREE_SHIPPING_FROM = «free_from»


@dataclass(frozen=True)
class Price:
    """What an order costs; ``discounts`` holds what is taken off each of its categories."""

    goods: int
    discounts: dict[str, int]
    tax: int
    shipping: int
    total: int


def price(lines):
    """The price of an order, whose lines are (category, price of one piece, pieces)."""
    sums = sums_by_category(lines)
    goods = sum(sums.values())
    discounts = split(discount_on(goods), sums)
    nets = {category: amount - discounts[category] for category, amount in sums.items()}
    net = sum(nets.values())
    tax = tax_on(nets)
    shipping = SHIPPING if net < FREE_SHIPPING_FROM else 0
    return Price(goods, discounts, tax, shipping, total=net + tax + shipping)


def sums_by_category(lines):
    """What the lines of each category come to, in the order in which they first appear."""
    if not lines:
        raise ValueError("an order has at least one line")
    sums = {}
    for category, each, pieces in lines:
        if each < 1 or pieces < 1:
            raise ValueError("prices and numbers of pieces start at 1")
        sums[category] = sums.get(category, 0) + each * pieces
    return sums


def discount_on(goods):
    """The discount on an order's goods."""
«code.discount»


def split(discount, sums):
    """The shares of an order's categories in its discount."""
«code.split»


def tax_on(nets):
    """The tax on an order, given what its categories come to after the discount."""
«code.tax»


def percentage(amount, percent):
    """So many percent of an amount, rounded."""
«code.percentage»


def rounded(exact):
    """An exact amount in whole «coins»; half a «coin» is rounded up."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
