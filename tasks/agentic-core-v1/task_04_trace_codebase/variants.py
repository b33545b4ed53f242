"""A package that sends notices, with two handlers, two senders and two families of channels.

Of each pair, imports and settings choose one for the event that is asked about; the other looks
nearly the same. The package's code is in templates/. One that is named like a fact has its value
for a name in the package: ``entry.py`` is ``cli.py`` there.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

from harness.variant import render

# Names that belong together are drawn together.
POOLS = {
    "package": "herald, postroom, mailroom, courier, noticeboard, switchboard",
    "entry": "cli, command, console, terminal",
    "intake accept": "intake accept_event, reception receive_event, arrivals admit_event, "
    "inbound process_event",
    "registry handles find": "registry handles handler_for, duties responds_to responder_for, "
    "catalogue takes_on taker_for",
    "retry retried": "retry retried, patience patiently, repeat repeated",
    "send": "send_notice, post_notice, issue_notice, give_notice",
    "sender other_sender": "delivery despatch, outgoing sending, direct onward",
    "deliver": "deliver, hand_over, pass_on, bring",
    "write": "write, put_out, emit, set_down",
    "store sheet add": "store TextFile add_line, files LineFile append_line, "
    "shelf PaperTray put_line, archive LogBook enter_line",
    "noun live dead": "booking reservations bookings, loan lending loans, order purchases orders, "
    "visit appointments visits, repair maintenance repairs, parcel shipments parcels, "
    "lesson courses lessons, ride trips rides",
}
CHANNELS = "phone sms pager, paper letter poster, screen banner popup, web feed push, "
CHANNELS += "speech call announcement, post card leaflet"
VERBS = ["cancelled", "confirmed", "moved", "completed", "reopened", "delayed"]
PEOPLE = ["Ines Vogel", "Tom Okoro", "Maria Silva", "Jan Novak", "Aiko Tanaka", "Leila Haddad"]


def files(facts: dict[str, Any]) -> dict[str, str]:
    """The package, and an event of each kind."""
    templates = Path(__file__).parent / "templates"
    found = {}
    for template in sorted(templates.rglob("*.jinja")):
        folder, name = template.parent.relative_to(templates), template.name.split(".")[0]
        path = Path(facts["package"], folder, f"{facts.get(name, name)}.py")
        found[path.as_posix()] = render(template.read_text(encoding="utf-8"), facts)
    for number, (verb, person) in enumerate(zip(facts["verbs"], facts["people"], strict=True)):
        event = {"kind": f"{facts['noun']}.{verb}", "person": person, "item": f"no. {417 + number}"}
        found[f"events/{facts['noun']}_{verb}.json"] = json.dumps(event, indent=2) + "\n"
    return found


def draw(random: Random) -> dict[str, Any]:
    """Other names, and of each pair the one or the other."""
    facts: dict[str, Any] = {}
    for roles, rows in POOLS.items():
        facts |= _row(roles, random.choice(rows.split(", ")))
    for one, other in (("sender", "other_sender"), ("live", "dead")):
        if random.random() < 0.5:
            facts[one], facts[other] = facts[other], facts[one]
    for kind, row in zip(("brief", "signed"), random.sample(CHANNELS.split(", "), 2), strict=True):
        module, *names = row.split()
        facts |= _row(f"{kind} {kind}_leaf {kind}_twin", " ".join([module, *_mixed(random, names)]))
    facts["verbs"], facts["people"] = random.sample(VERBS, 3), random.sample(PEOPLE, 3)
    return _complete(facts, random.choice(facts["verbs"]), *_mixed(random, ["brief", "signed"]))


def _mixed(random: Random, names: list[str]) -> list[str]:
    return random.sample(names, len(names))


def _row(roles: str, names: str) -> dict[str, str]:
    return dict(zip(roles.split(), names.split(), strict=True))


def _complete(facts: dict[str, Any], asked: str, way: str, default: str) -> dict[str, Any]:
    """The facts and what follows from the event and the family of channels that are chosen."""
    facts |= {"asked": asked, "way": _family(facts, way), "default": _family(facts, default)}
    facts["event"] = f"events/{facts['noun']}_{asked}.json"
    others = [verb for verb in facts["verbs"] if verb != asked]
    channels = {
        asked: facts["way"]["leaf"],
        others[0]: facts["default"]["twin"],
        others[1]: facts["way"]["twin"],
    }
    facts["routes"] = [(f"{facts['noun']}.{verb}", channels[verb]) for verb in sorted(channels)]
    facts["held"] = ["account.closed", f"{facts['noun']}.{others[0]}"]
    facts["chain"] = _chain(facts, facts["way"])
    facts["by_default"] = _chain(facts, facts["default"])
    return facts


def _family(facts: dict[str, Any], kind: str) -> dict[str, str]:
    """A module of channels: its base class, and the two channels that the settings can name."""
    module, leaf, twin = facts[kind], facts[f"{kind}_leaf"], facts[f"{kind}_twin"]
    classes = {"middle": module, "leaf_class": leaf, "twin_class": twin}
    return {"kind": kind, "module": module, "leaf": leaf, "twin": twin} | {
        role: f"{name.capitalize()}Channel" for role, name in classes.items()
    }


def _chain(facts: dict[str, Any], family: dict[str, str]) -> list[str]:
    """The functions on the call stack where an event goes out by a family's ``leaf``."""
    base, module = "channels.base.Channel.«deliver»", "channels.«module»"
    ways = {
        "brief": [f"{module}.«middle».«deliver»", base, f"{module}.«leaf_class».«write»"],
        "signed": [base, f"{module}.«leaf_class».«write»", f"{module}.«middle».«write»"],
    }
    names = [
        "«entry».main",
        "«intake».«accept»",
        "handlers.«live».on_«asked»",
        "channels.«sender».«send»",
        *ways[family["kind"]],
        "«store».«sheet».«add»",
    ]
    return [render(f"«package».{name}", facts | family) for name in names]


FIXED: dict[str, Any] = {}
for _roles, _rows in POOLS.items():
    FIXED |= _row(_roles, _rows.split(", ")[0])
FIXED |= _row("brief brief_leaf brief_twin", "phone sms pager")
FIXED |= _row("signed signed_leaf signed_twin", "paper letter poster")
FIXED |= {"verbs": VERBS[:3], "people": PEOPLE[:3]}
FIXED = _complete(FIXED, "cancelled", way="brief", default="signed")
