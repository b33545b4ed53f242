"""Readings of one station, drawn so that several lie exactly on the limit."""

from random import Random
from typing import Any


def draw(random: Random) -> dict[str, Any]:
    """The facts of one variant: what the texts, the scripts and the checker speak of."""
    limit = random.randint(15, 25)
    readings = [round(limit + random.uniform(-8, 8), 1) for _ in range(200)] + [float(limit)] * 5
    random.shuffle(readings)
    return {
        "station": random.choice(["Mill Lane", "North Pier", "Station Road", "Old Quarry"]),
        "limit": limit,
        "readings": readings,
        "above": sum(reading > limit for reading in readings),
        "at_least": sum(reading >= limit for reading in readings),
    }


FIXED = draw(Random(1)) | {"station": "Harbour Bridge"}
"""The facts of the published variant."""
