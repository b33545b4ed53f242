"""An evening's log: a quiet change spoils one part of the requests, and another component shouts.

Every request uses one of five subjects (a route, a volume, ...) in the version then in force. From
the cause on, each request with the first subject's new version fails. Changes of the others, and
earlier ones of the same subject, do no harm; other troubles pass by themselves.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

SECOND, MINUTE = 1_000, 60_000
END = 150 * MINUTE
REQUESTS = 420
ATTEMPTS = {"retried": 1, "failed": 4}
"""How many go wrong, by a request's fate; none of any other."""

_STORIES = (
    "service|loud|path|complaint|done|user|using|subject|version|changer|change",
    "a ticket shop|checkout|/orders|no answer within 2000 ms|order confirmed"
    "|payments|charging|route|terminal|routing|route moved",
    "a parcel service|printing|/labels|printer did not take the document|label printed"
    "|labels|drawing|template|revision|assets|template published",
    "a photo archive|uploads|/photos|write not confirmed within 2000 ms|photo kept"
    "|placement|storing|volume|disk|storage|volume moved",
    "a car rental|offers|/offers|connection closed before the reply|offer made"
    "|partners|asking|partner|cert|vault|certificate renewed",
    "a news archive|search|/search|no free connection within 2000 ms|results sent"
    "|planner|looking|shard|pool|pools|pool rebuilt",
    "a power supplier|quotes|/quotes|reply could not be read|quote sent"
    "|pricing|calculating|tariff|rules|deployer|rules rolled out",
    "a dental clinic|desk|/visits|no valid slot within 2000 ms|visit booked"
    "|calendar|opening|site|plan|sync|plan imported",
)
_FIELDS, *_ROWS = (story.split("|") for story in _STORIES)
STORIES = [dict(zip(_FIELDS, row, strict=True)) for row in _ROWS]
NAMES = ["alder", "birch", "cedar", "hazel", "larch", "maple", "oak", "pine", "rowan", "willow"]
PEOPLE = ["aylin", "bruno", "carla", "dmitri", "esther", "farid", "greta", "hugo"]
ASIDES = ("accounts|session valid", "accounts|limits read", "cache|no entry")
ELSEWHERE = (
    "INFO|404|no such customer",
    "INFO|409|sent twice, dropped",
    "WARN|403|password refused",
    "ERROR|500|session store did not answer",
)
ROUTINE = (
    "INFO|cache|swept entries=",
    "INFO|health|all components up slowest_ms=",
    "INFO|scheduler|cleanup done rows=",
    "INFO|mailer|messages sent count=",
    "INFO|database|checkpoint written ms=",
    "WARN|mailer|mail server slow waiting=",
    "WARN|cache|large entry kb=",
)


class Line(NamedTuple):
    """A line of the log. By its ``role`` a script can name it."""

    at: int
    level: str
    component: str
    request: str
    text: str
    role: str


class Evening:
    """Notes what happens, in any order, at milliseconds since the log begins."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.random = facts, Random(facts["seed"])
        self.spoiled, *self.others = facts["subjects"]
        self.ids = iter(self.random.sample(range(16**5, 16**6), REQUESTS + 20))
        self.numbers = iter(self.random.sample(range(100, 1000), 40))
        self.versions = {name: [(0, next(self.numbers))] for name in facts["subjects"]}
        self.noted: list[Line] = []
        self.trouble = self.after(0, 1200, 1800)
        self.cause = self.after(0, 3900, 5100)
        self.failure = self.after(self.cause, 120, 200)
        self.changes()
        self.events()
        self.chosen_requests()
        self.many_requests()

    def lines(self) -> list[Line]:
        """All lines in order, no two at the same time."""
        ordered: list[Line] = []
        for line in sorted(line for line in self.noted if line.at < END):
            earliest = ordered[-1].at + 1 if ordered else 0
            ordered.append(line._replace(at=max(line.at, earliest)))
        return ordered

    def after(self, moment: int, first: int, last: int) -> int:
        """Some time between ``first`` and ``last`` seconds after a moment."""
        return moment + self.random.randrange(first * SECOND, last * SECOND)

    def note(self, at: int, what: str, role: str = "ordinary", request: str = "-") -> None:
        level, component, text = what.split("|")
        self.noted.append(Line(at, level, component, request, text, role))

    def changes(self) -> None:
        """In order of time for each subject; the last of the others never changes."""
        undone, *changing = self.others[:3]
        for at in range(4 * MINUTE, self.cause - 6 * MINUTE, 10 * MINUTE):
            self.change(self.after(at, 0, 300), self.random.choice(changing))
        before = self.versions[undone][0][1]
        self.change(self.after(self.trouble, -240, -120), undone, "undone")
        self.change(self.after(self.trouble, 240, 420), undone, "undoing", before)
        self.change(self.after(0, 300, 1000), self.spoiled)
        self.change(self.after(self.cause, -1500, -900), self.spoiled, "change_before")
        self.change(self.cause, self.spoiled, "cause")
        self.change(self.after(self.cause, 40, 60), changing[0], "change_between")
        self.change(self.after(self.failure, 60, 200), changing[1], "change_after")
        for at in range(self.failure + 10 * MINUTE, END, 12 * MINUTE):
            self.change(self.after(at, 0, 600), self.random.choice(changing))

    def change(
        self, at: int, subject: str, role: str = "ordinary", version: int | None = None
    ) -> None:
        """Bring a version into force, a new one where none is given."""
        self.versions[subject].append((at, version or next(self.numbers)))
        person = self.random.choice(PEOPLE)
        what = f"{self.facts['change']} {self.used(at, subject)} by={person}"
        self.note(at, f"INFO|{self.facts['changer']}|{what}", role)

    def used(self, at: int, subject: str) -> str:
        version = [each for since, each in self.versions[subject] if since <= at][-1]
        return f"{self.facts['subject']}={subject} {self.facts['version']}={version}"

    def events(self) -> None:
        """What happens beside requests and changes."""
        loud = self.facts["loud"]
        self.note(self.trouble - 4_321, "WARN|network|link to second site lost", "link_lost")
        self.note(self.trouble + 71_234, "INFO|network|link to second site back")
        self.note(self.after(self.cause, 95, 110), "WARN|database|lock held ms=1840", "lock_held")
        self.note(self.after(self.failure, 60, 90), "WARN|health|many answers are 503", "alarm")
        self.note(self.after(self.failure, 500, 900), f"INFO|{loud}|restarted", "restart")
        for at in range(self.failure + 3 * MINUTE, END, 4 * MINUTE):
            waiting = self.random.randint(12, 80)
            self.note(self.after(at, 0, 60), f"WARN|{loud}|queue is long waiting={waiting}")
        for at in range(0, END, 75 * SECOND):
            what = f"{self.random.choice(ROUTINE)}{self.random.randint(70, 900)}"
            self.note(self.after(at, 0, 75), what)

    def chosen_requests(self) -> None:
        """Those that must be there: in the trouble that passes, and after the cause."""
        self.request(self.trouble, self.others[-1], "retried", "first_error")
        for number in range(1, 12):
            fate = "failed" if number in (4, 7) else "retried"
            at = self.after(self.trouble, 5 * number, 5 * number + 5)
            role = "passing_failed" if fate == "failed" else "ordinary"
            self.request(at, self.others[-1], fate, role)
        self.request(self.after(self.cause, 10, 30), self.others[1], "retried", "retried_between")
        self.request(self.after(self.cause, 65, 85), "", "broken", "broken_between")
        self.request(self.failure, self.spoiled, "failed", "failure")
        self.request(self.after(self.failure, 20, 50), self.others[1], "fine", "ordinary")

    def many_requests(self) -> None:
        """The rest of the evening. Around the cause none uses the spoiled subject."""
        block: list[str] = []
        for at in sorted(self.random.randrange(END) for _ in range(REQUESTS)):
            block = block or self.random.sample([*[self.spoiled] * 3, *self.others], 7)
            subject, role = block.pop(), "ordinary"
            fate = self.random.choices(["fine", "elsewhere", "retried"], [88, 8, 4])[0]
            if fate == "retried" and at < self.trouble:
                fate = "fine"
            if subject == self.spoiled and self.cause - 20_000 < at < self.failure + 15_000:
                subject = self.others[-1]
            if subject == self.spoiled and at > self.failure:
                fate, role = "failed", "next_failure"
            self.request(at, subject, fate, role)

    def request(self, at: int, subject: str, fate: str, role: str) -> None:
        """All lines of a request; its ``role`` is that of its errors."""
        facts, random, number = self.facts, self.random, f"{next(self.ids):x}"
        self.note(at, f"INFO|gateway|POST {facts['path']} node=g{at % 3}", request=number)
        now, status = at + random.randrange(8, 40), "503" if fate == "failed" else "200"
        aside = f"INFO|{random.choice(ASIDES)} user={random.randint(1000, 9999)}"
        self.note(now, aside, request=number)
        now += random.randrange(8, 40)
        if fate in ("elsewhere", "broken"):
            which = ELSEWHERE[-1] if fate == "broken" else random.choice(ELSEWHERE)
            level, status, text = which.split("|")
            self.note(now, f"{level}|accounts|{text}", role, number)
        else:
            what = f"INFO|{facts['user']}|{facts['using']} {self.used(at, subject)}"
            self.note(now, what, request=number)
        for attempt in range(1, ATTEMPTS.get(fate, 0) + 1):
            now += random.randrange(2010, 2060)
            what = f"ERROR|{facts['loud']}|attempt {attempt} of 4 failed: {facts['complaint']}"
            self.note(now, what, role, number)
        now += random.randrange(20, 300)
        if status == "200":
            self.note(now, f"INFO|{facts['loud']}|{facts['done']}", request=number)
        now += random.randrange(3, 20)
        self.note(now, f"INFO|gateway|answered status={status} ms={now - at}", request=number)


def files(facts: dict[str, Any]) -> dict[str, str]:
    """The log."""
    lines = (
        f"{_time(line, facts)} {line.level:5} {line.component:9} [{line.request}] {line.text}\n"
        for line in Evening(facts).lines()
    )
    return {"evening.log": "".join(lines)}


def draw(random: Random) -> dict[str, Any]:
    """Another service on another evening."""
    begin = datetime(2025, 1, 1, random.choice([17, 18, 19])) + timedelta(random.randrange(365))
    told = {"begin": begin.isoformat(), "subjects": random.sample(NAMES, 5)}
    return _with_roles(random.choice(STORIES) | told | {"seed": random.randrange(10**9)})


def _with_roles(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts, and for each role the first line that has it."""
    roles: dict[str, Any] = {}
    for number, line in enumerate(Evening(facts).lines(), start=1):
        found = {"component": line.component, "line": number, "request": line.request}
        roles.setdefault(line.role, found | {"time": _time(line, facts)})
    return facts | roles


def _time(line: Line, facts: dict[str, Any]) -> str:
    moment = datetime.fromisoformat(facts["begin"]) + timedelta(milliseconds=line.at)
    return moment.isoformat(timespec="milliseconds") + "Z"


FIXED = _with_roles(
    STORIES[0]
    | {
        "begin": "2025-03-14T18:00:00",
        "subjects": ["cedar", "maple", "hazel", "willow", "birch"],
        "seed": 20250314,
    }
)
