"""Closes a month, step by step: see CLOSING.md."""

import csv
import hashlib
import sys
from pathlib import Path

TOP = Path(__file__).parent
STOCK = "data/stock.csv"
CHARGES = "work/charges.csv"
CLOSING = "out/closing.csv"


def read(path):
    """The rows of a table, without its header."""
    with open(TOP / path, newline="") as file:
        return list(csv.reader(file))[1:]


def numbers(path):
    return {key: int(number) for key, number in read(path)}


def write(path, text):
    (TOP / path).parent.mkdir(exist_ok=True)
    (TOP / path).write_text(text)


def table(header, rows):
    return "".join(",".join(map(str, row)) + "\n" for row in [header, *sorted(rows)])


def write_stock(stock):
    rows = [row for row in stock.items() if row[1]]
    write(STOCK, table(("«place»", "«units»"), rows))


def survey():
    number = 1 if sum(numbers(STOCK).values()) <= «limit» else 2
    write("work/class.txt", f"class {number}\n")
    print(f"class {number}")


def charge(tariff):
    rates = numbers(tariff)
    rows = [(place, units * rates[place[0]]) for place, units in numbers(STOCK).items()]
    write(CHARGES, table(("«place»", "cents"), rows))


def seal():
    if (TOP / CLOSING).exists():
        sys.exit(f"{CLOSING} is there: this month is closed already")
    if not (TOP / CHARGES).exists():
        sys.exit(f"{CHARGES} is missing: «charges» has to be run first")
    stock, charges = numbers(STOCK), numbers(CHARGES)
    if stock.keys() != charges.keys():
        sys.exit(f"{CHARGES} does not belong to the stock: its «place»s are others")
    rows = [(place, units, charges[place]) for place, units in stock.items()]
    text = table(("«place»", "«units»", "cents"), rows)
    write(CLOSING, text)
    print("closed with code", hashlib.sha256(text.encode()).hexdigest()[:8].upper())


def deliver():
    stock = numbers(STOCK)
    for place, units in numbers("inbox/deliveries.csv").items():
        stock[place] = stock.get(place, 0) + units
    write_stock(stock)


def lose():
    lost = numbers("inbox/losses.csv")
    stock = numbers(STOCK)
    write_stock({place: units - units * lost.get(place, 0) // 100 for place, units in stock.items()})


def move():
    moves, stock = dict(read("inbox/moves.csv")), {}
    for place, units in numbers(STOCK).items():
        target = moves.get(place, place)
        stock[target] = stock.get(target, 0) + units
    write_stock(stock)


STEPS = {
    "«survey»": survey,
    "«seal»": seal,
    "«deliveries»": deliver,
    "«losses»": lose,
    "«moves»": move,
}

match sys.argv[1:]:
    case ["«charges»", tariff] if (TOP / tariff).is_file():
        charge(tariff)
    case ["«charges»", *_]:
        sys.exit("name the tariff's file: python3 close.py «charges» tariffs/...")
    case [step] if step in STEPS:
        STEPS[step]()
    case _:
        sys.exit("usage: python3 close.py STEP")
