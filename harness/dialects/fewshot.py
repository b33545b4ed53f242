"""A plain transcript with examples before it and a grammar over it, for models too small for a
chat template with tools.

    Question: Read the file sky.txt. What colour is named?
    Call: fs_read {"path": "sky.txt"}
    Result: blue
    Answer: blue

The grammar admits exactly one call or one answer a reply. A model so bound can spell no call
wrong, so what is measured is whether it chooses the right one and reads its result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.dialects import Dialect, Parsed, Segment, plain
from harness.dialects._gbnf import JSON_VALUES, members
from harness.records import Message, Prompt, Reply, ToolCall, ToolResult, ToolSchema

_CALL = re.compile(r"Call: (\w+) (\{.*\})\s*\Z", re.DOTALL)
_ANSWER = "Answer: "

_EXAMPLES = {
    "fs_read": """\
Question: Read the file total.txt. How many chairs are there? Answer with the number alone.
Call: fs_read {"path": "total.txt"}
Result: chairs: 48
tables: 3
lamps: 150
Answer: 48

Question: Read the file sky.txt. What colour is the sky? Answer with the colour alone.
Call: fs_read {"path": "sky.txt"}
Result: grass: green
sky: blue
Answer: blue

Question: Read the file box.txt. It names another file. Read that file too. What is in it?
Call: fs_read {"path": "box.txt"}
Result: Look into shelf.txt
Call: fs_read {"path": "shelf.txt"}
Result: 7 cups
Answer: 7
""",
    "shell": """\
Question: Run the command wc -c note.txt. How many bytes does the file have?
Call: shell {"command": "wc -c note.txt"}
Result: exit code: 0
stdout:
310 note.txt
Answer: 310

Question: Run the command ls. What file is there?
Call: shell {"command": "ls"}
Result: exit code: 0
stdout:
plan.md
Answer: plan.md
""",
    "sql": """\
Question: The database has a table named cars. What is the highest price in the table cars?
Call: sql {"query": "SELECT max(price) FROM cars"}
Result: max(price)
21500
(1 row)
Answer: 21500

Question: The database has a table named trees. How many rows are in the table trees?
Call: sql {"query": "SELECT count(*) FROM trees"}
Result: count(*)
96
(1 row)
Answer: 96
""",
}
"""What the tools of this project look like in use. A tool that has no example is still described
and can still be called."""


def render(conversation: Sequence[Message], tools: Sequence[ToolSchema]) -> list[Segment]:
    """The prompt: the system's message, the tools and examples, then the transcript so far."""
    return [(plain(text),) for message in conversation for text in _texts(message, tools)]


def parse(text: str, turn: int) -> Parsed:
    """The one call or the one answer of a reply; anything else is text as it stands."""
    if call := _CALL.match(text):
        name, arguments = call.groups()
        return Parsed("", (ToolCall(id=f"call_{turn}_1", name=name, arguments=arguments),))
    if text.startswith("Call:"):
        return Parsed(text, malformed="'Call:' without a tool's name and an object")
    return Parsed(text.removeprefix(_ANSWER).strip())


def grammar(tools: Sequence[ToolSchema], *, force_call: bool = False) -> str:
    """GBNF for one line: an answer, or a call of one of ``tools`` with its name first."""
    calls = [f"call{number}" for number in range(len(tools))]
    choices = calls if force_call else ["answer", *calls]
    lines = [
        f"root ::= ({' | '.join(choices)}) " + r'"\n"',
        f'answer ::= "{_ANSWER}" ' + r"[^ \n] [^\n]{0,200}",
    ]
    for rule, tool in zip(calls, tools, strict=True):
        lines.append(f'{rule} ::= "Call: {tool.name} {{" {members(tool.parameters)} "}}"')
    return "\n".join(lines) + JSON_VALUES


def _texts(message: Message, tools: Sequence[ToolSchema]) -> list[str]:
    match message:
        case Prompt(role="system"):
            examples = [_EXAMPLES[tool.name] for tool in tools if tool.name in _EXAMPLES]
            return ["\n".join([message.content + "\n", *examples]) + "\n"]
        case Prompt():
            # A prompt's last segment is read anew by each run, so that is the line's end alone.
            return [f"Question: {message.content}", "\n"]
        case Reply():
            calls = [f"Call: {call.name} {call.arguments}\n" for call in message.tool_calls]
            return ["".join(calls) or f"{_ANSWER}{message.text}\n"]
        case ToolResult():
            return [f"Result: {message.content.strip()}\n"]


DIALECT = Dialect(
    family="a plain transcript",
    version=2,
    parse=parse,
    markup=r"^Call: \w+ \{",
    stops=("\n",),
    render=render,
    grammar=grammar,
)
