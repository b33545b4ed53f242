"""The package, its three modules with their numbers, and the one detail in which a copy differs.

A copy is written in one of three STYLES, which do the same thing in other words. In one module it
holds one of DETAILS, its other form: where it draws a line, or what it does first.
"""

from random import Random
from string import Template
from typing import Any

CLOCK = '''"""Times of day: "9:05" as people write it, 545 as minutes since midnight."""


def to_minutes(text):
    """The minutes since midnight at a time of day."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def to_text(minutes):
    """The time of day, so many minutes after midnight."""
    return f"{minutes // 60}:{minutes % 60:02d}"
'''

STYLES = [
    {
        "names": ("GAP", "STEP", "MINIMUM", "LONG", "BREAK"),
        "result": "billed",
        "joins": ("start - blocks[-1][1] <= GAP", "start - blocks[-1][1] < GAP"),
        "empty": ("end <= start", "end < start"),
        "minimum": (
            "minutes = max(MINIMUM, -(-(end - start) // STEP) * STEP)",
            "minutes = -(-max(MINIMUM, end - start) // STEP) * STEP",
        ),
        "break": ("minutes > LONG", "minutes >= LONG"),
        "logic": """    blocks = []
    for start, end in sorted($pieces):
        if $empty:
            continue
        if blocks and $joins:
            blocks[-1][1] = max(blocks[-1][1], end)
        else:
            blocks.append([start, end])
    billed = []
    for start, end in blocks:
        $minimum
        if $break:
            minutes -= BREAK
        billed.append((start, minutes))
""",
    },
    {
        "names": ("PAUSE", "UNIT", "LEAST", "FULL", "REST"),
        "result": "sheet",
        "joins": ("spans[-1][1] + PAUSE < begin", "spans[-1][1] + PAUSE <= begin"),
        "empty": ("begin < finish", "begin <= finish"),
        "minimum": (
            "length = -((begin - finish) // UNIT) * UNIT\n        length = max(length, LEAST)",
            "length = max(finish - begin, LEAST)\n        length = -(-length // UNIT) * UNIT",
        ),
        "break": ("length > FULL", "length >= FULL"),
        "logic": """    sheet, spans = [], []
    for begin, finish in sorted($pieces):
        if $empty:
            if not spans or $joins:
                spans.append([begin, finish])
            else:
                spans[-1][1] = max(finish, spans[-1][1])
    for begin, finish in spans:
        $minimum
        if $break:
            length = length - REST
        sheet.append((begin, length))
""",
    },
    {
        "names": ("SLACK", "ROUNDING", "SHORTEST", "LIMIT", "LUNCH"),
        "result": "periods",
        "joins": ("piece[0] <= runs[-1][1] + SLACK", "piece[0] < runs[-1][1] + SLACK"),
        "empty": ("piece[0] >= piece[1]", "piece[0] > piece[1]"),
        "minimum": (
            "time = max(-(-(last - first) // ROUNDING) * ROUNDING, SHORTEST)",
            "time = -(-max(last - first, SHORTEST) // ROUNDING) * ROUNDING",
        ),
        "break": ("LIMIT < time", "LIMIT <= time"),
        "logic": """    runs = []
    for piece in sorted($pieces):
        if $empty:
            continue
        if runs and $joins:
            runs[-1] = (runs[-1][0], max(piece[1], runs[-1][1]))
        else:
            runs.append((piece[0], piece[1]))
    periods = []
    for first, last in runs:
        $minimum
        if $break:
            time -= LUNCH
        periods.append((first, time))
""",
    },
]
DETAILS = ("joins", "empty", "minimum", "break")

PACKAGES = ("billing", "invoicing", "timekeeping", "charges", "accounts")
WORK = (
    "phone|calls|advice by phone",
    "site|visits|work at the customer's place",
    "remote|sessions|remote maintenance",
    "workshop|repairs|repairs in the workshop",
    "training|lessons|training",
    "courier|trips|deliveries",
    "garden|shifts|work in the garden",
    "nights|callouts|work at night",
)
USES = {
    "charge": (
        "charge fee amount_due",
        "The price of a day's $pieces, in cents.",
        "sum(minutes for _, minutes in $result) * RATE // 60",
    ),
    "lines": (
        "timesheet day_sheet lines",
        "A line of text for each period that is billed for a day's $pieces.",
        '[f"{to_text(start)}, {minutes} minutes" for start, minutes in $result]',
    ),
    "totals": (
        "totals summary overview",
        "How many periods are billed for a day's $pieces, and their minutes in all.",
        "len($result), sum(minutes for _, minutes in $result)",
    ),
}

GAPS = (5, 8, 10, 12, 15, 20, 25, 30)
STEPS = ((6, 15), (6, 20), (10, 15), (10, 25), (12, 20), (12, 30), (15, 20), (15, 25), (20, 30))
"""With their minimums: none is a multiple of its step, so that it matters which comes first."""


def draw(random: Random) -> dict[str, Any]:
    """Other kinds of work with other numbers, and another detail in another copy."""
    gaps, steps = random.sample(GAPS, 3), random.sample(STEPS, 3)
    modules = [
        {
            "work": work,
            "style": style,
            "use": use,
            "function": random.choice(USES[use][0].split()),
            "detail": "",
            "numbers": (
                gap,
                *step,
                random.choice((240, 300, 360)),
                random.choice((15, 20, 30, 45, 60)),
            ),
            "rate": random.randint(80, 200) * 50,
        }
        for work, style, use, gap, step in zip(
            random.sample(WORK, 3),
            random.sample(range(3), 3),
            random.sample(list(USES), 3),
            gaps,
            steps,
            strict=True,
        )
    ]
    random.choice(modules)["detail"] = random.choice(DETAILS)
    return _complete({"package": random.choice(PACKAGES), "modules": modules})


def files(facts: dict[str, Any]) -> dict[str, str]:
    """The package."""
    package = facts["package"]
    return {
        f"{package}/__init__.py": '"""What is billed for a day\'s work."""\n',
        f"{package}/clock.py": CLOCK,
        **{m["path"]: m["head"] + m["logic"] + m["return"] for m in facts["modules"]},
    }


def _complete(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts with what follows from them: texts for the workspace and for scripts."""
    modules = [m | _module(facts["package"], m) for m in facts["modules"]]
    detail = next(m["detail"] for m in modules if m["detail"])
    return facts | {
        "modules": modules,
        "special": next(m for m in modules if m["detail"]),
        "detail": detail,
        "usual": {name: STYLES[0][name][0].lower() for name in DETAILS},
        "other": STYLES[0][detail][1].lower(),
    }


def _module(package: str, m: dict[str, Any]) -> dict[str, Any]:
    """The texts that belong to one module."""
    module, pieces, title = m["work"].split("|")
    style, (_, gives, value) = STYLES[m["style"]], USES[m["use"]]
    gives = gives.replace("$pieces", pieces)
    numbers = dict(zip(style["names"], m["numbers"], strict=True))
    if m["use"] == "charge":
        numbers["RATE"] = m["rate"]
    constants = "".join(f"{name} = {number}\n" for name, number in numbers.items())
    imports = f"from {package}.clock import to_text\n\n" if m["use"] == "lines" else ""
    forms = {name: style[name][name == m["detail"]] for name in DETAILS}
    _, step, _, long, rest = m["numbers"]
    morning = [(540, 540 + 2 * step), (542 + 2 * step, 540 + 6 * step)]
    within = (540 + 3 * step, 540 + 5 * step)
    return {
        "module": module,
        "pieces": pieces,
        "path": f"{package}/{module}.py",
        "gives": gives[0].lower() + gives[1:-1],
        "constants": style["names"],
        "result": style["result"],
        "head": f'"""What is billed for {title}."""\n\n{imports}{constants}\n\n'
        f'def {m["function"]}({pieces}):\n    """{gives}"""\n',
        "logic": Template(style["logic"]).substitute(forms, pieces=pieces),
        "return": f"    return {value.replace('$result', style['result'])}\n",
        "day": [(900, 900 + 4 * step), *morning, within],
        "day_gives": _given(m, [(540, 6 * step), (900, 4 * step)]),
        "long_day": [(480, 479 + long + 2 * step)],
        "long_day_gives": _given(m, [(480, long + 2 * step - rest)]),
        "nothing_gives": _given(m, []),
    }


def _given(m: dict[str, Any], periods: list[tuple[int, int]]) -> Any:
    """What a module's function gives back where these periods are billed."""
    total = sum(minutes for _, minutes in periods)
    if m["use"] == "charge":
        return total * m["rate"] // 60
    if m["use"] == "totals":
        return len(periods), total
    return [f"{start // 60}:{start % 60:02d}, {minutes} minutes" for start, minutes in periods]


FIXED = _complete(
    {
        "package": "billing",
        "modules": [
            {
                "work": WORK[0],
                "style": 0,
                "use": "charge",
                "function": "charge",
                "detail": "",
                "numbers": (10, 15, 20, 240, 30),
                "rate": 8400,
            },
            {
                "work": WORK[1],
                "style": 1,
                "use": "lines",
                "function": "timesheet",
                "detail": "joins",
                "numbers": (15, 10, 25, 300, 45),
                "rate": 0,
            },
            {
                "work": WORK[2],
                "style": 2,
                "use": "totals",
                "function": "totals",
                "detail": "",
                "numbers": (5, 6, 20, 360, 60),
                "rate": 0,
            },
        ],
    }
)
