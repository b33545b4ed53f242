"""The city and its net sales, worked out again from the script that built the database."""

import re
import sqlite3
from contextlib import closing

from harness.answers import plain_lines, shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun

ONE_LINE = re.compile(
    r"(?:\D{1,40})[,:]\s*(?:EUR|€)?\s?[0-9][0-9,.]*(?:\s*(?:euro\s*)?(?:cents?|ct))?\.?",
    re.IGNORECASE,
)
"""A city, a comma and a number, with its unit or without."""

NET_SALES = """
    WITH sales AS (  -- each receipt once, however often the tills sent it
        SELECT DISTINCT receipt, kiosk_id, customer_id, sold_at, cents FROM sales_feed
    ),
    taken_back AS (  -- a refund without an amount is one of the whole sale
        SELECT receipt, sum(coalesce(refunds.cents, sales.cents)) AS cents
        FROM refunds JOIN sales USING (receipt)
        GROUP BY receipt
    )
    SELECT kiosks.city, sum(sales.cents - coalesce(taken_back.cents, 0)) AS net
    FROM sales
    JOIN kiosks ON kiosks.id = sales.kiosk_id
    LEFT JOIN customers ON customers.id = sales.customer_id
    LEFT JOIN taken_back USING (receipt)
    WHERE coalesce(customers.is_test, 0) = 0  -- unknown, or no customer: a real sale
      AND strftime('%Y-%m', sold_at, utc_offset_minutes || ' minutes') = ?
    GROUP BY kiosks.id
    ORDER BY net DESC
"""


def check(run: FinishedRun) -> Verdict:
    """Accept a line with the city alone of all six and its net sales, and nothing beside it."""
    ranking = _net_sales(run.variant.sql or "", run.facts["month"])
    city, cents = ranking[0]
    lines, said = plain_lines(run.answer), shortened(run.answer)
    named = [each for each, _ in ranking if re.search(rf"\b{each}\b", run.answer, re.IGNORECASE)]
    return Verdict(
        checks=(
            Check(name="city", passed=named == [city], detail=f"expected {city}, got: {said}"),
            Check(
                name="net_sales",
                passed=the_number(run.answer) == cents,
                detail=f"expected {cents}, got: {said}",
            ),
            Check(
                name="one_line",
                passed=len(lines) == 1 and bool(ONE_LINE.fullmatch(lines[0])),
                detail=f"expected a city, a comma and a number alone, got: {said}",
            ),
        )
    )


def _net_sales(script: str, month: str) -> list[tuple[str, int]]:
    """Every city with its net sales of the month, the highest first."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script)
        return database.execute(NET_SALES, (month,)).fetchall()
