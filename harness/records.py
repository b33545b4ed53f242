"""The words everything speaks: the events of a run, in the order a transcript holds them.

    started                     who plays what, under which budgets, with which versions
    prompt                      a message that enters the prompt: the system's, the user's
    earlier                     turns about something else, made up to load the context; most
                                runs have none, the others between the two prompts
    ((repeat)*                  one turn: what the world spoilt of it and was asked for again,
     reply (signal)*              what the model said, what was notable in it,
     (prompt | recovered)?        how a leak was met: by a nudge, or by its calls, recovered,
     (tool_result (signal)*)*)*   and what each tool answered
    ended                       why the loop stopped: answered, or a budget ran out
    fault                       ... or the world failed; then nothing was graded
    left                        what the run changed in its workspace (older transcripts: none)
    graded                      the checker's verdict, recorded even where a budget ran out
    outcome                     exactly one of the four classes; always the last line

Every line of a transcript is one of these, as JSON, tagged by ``type``. All are frozen.
Times are seconds, sizes are bytes, tokens are tokens; what is unknown is null, never 0.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

SCHEMA_VERSION: Literal[1] = 1

OutcomeName = Literal["pass", "wrong_answer", "gave_up", "infrastructure_error"]
OUTCOMES: tuple[OutcomeName, ...] = ("pass", "wrong_answer", "gave_up", "infrastructure_error")

Cause = Literal[
    "unreachable",
    "timeout",
    "rate_limited",
    "server_error",
    "bad_response",
    "model_crashed",
    "sandbox_failed",
    "checker_crashed",
    "disk_full",
    "interrupted",
    "harness_bug",
]

FaultKind = Literal[
    "refused",
    "unresolved",
    "reset",
    "tls",
    "untrusted",
    "silent",
    "stalled",
    "timed_out",
    "rate_limited",
    "no_quota",
    "server_error",
    "broken_off",
    "not_allowed",
    "not_found",
    "garbled",
    "bad_request",
    "process_died",
    "process_hung",
    "sandbox",
    "checker",
    "disk_full",
    "interrupted",
    "bug",
]
"""The rows of the table in ``harness.attribution``."""

BudgetName = Literal["turns", "context", "clock", "tokens", "cost"]
"""``tokens`` and ``cost``, of a whole run, are budgets that only other programs set."""

SignalName = Literal[
    "template_leakage",
    "token_ceiling",
    "empty_reply",
    "malformed_tool_call",
    "unknown_tool",
]

FinishReason = Literal["stop", "tool_calls", "length", "context", "filtered"]

OnLeak = Literal["fail", "nudge", "recover"]
"""What becomes of a reply that spells a call, or a template's delimiters, as text: it is the
answer, and fails; the model is told, once; or its calls are taken out of the text."""


def _well_formed(text: str) -> str:
    """A model may write ``\\ud800``: half a character, which no file could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class _WellFormed:
    """Has ``_well_formed`` see to text that Python code gives. JSON holds no half characters, or
    it is refused, and to look for them in every text of every transcript would take its time."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = handler(source)
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.no_info_after_validator_function(_well_formed, text),
        )


Text = Annotated[str, _WellFormed]
"""Text from outside: whatever it was, it can be written as UTF-8."""


def _is_null(value: object) -> bool:
    return value is None


class Record(BaseModel):
    """A frozen value that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Budgets(Record):
    """What a model may spend on one run."""

    turns: int = Field(default=15, ge=1, description="replies the model may give")
    tokens_per_turn: int = Field(default=4096, ge=1, description="tokens in one reply")
    model_seconds: float | None = Field(
        default=None, gt=0, description="the model's own time; tools and queues do not count"
    )


class Sampling(Record):
    """How tokens are drawn. Recorded in every transcript; sent with every request."""

    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0, description="0 means all; local models only")
    min_p: float = Field(default=0.0, ge=0, le=1, description="local models only")


class Price(Record):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    output: float = Field(ge=0)

    def usd(self, *, tokens_in: float, cached: float, tokens_out: float) -> float:
        """What tokens cost, in US dollars; ``tokens_in`` includes ``cached``. NaN where a count
        that matters is: cached tokens without a price of their own cost what others do."""
        price = self.input if self.cached is None else self.cached
        if price == self.input:
            cached = 0.0
        return ((tokens_in - cached) * self.input + cached * price + tokens_out * self.output) / 1e6


class ToolSchema(Record):
    """A tool as the model is told of it: ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolCall(Record):
    """One call as the model spelled it. ``arguments`` is its raw text, validated later."""

    id: Text
    name: Text
    arguments: Text


class Usage(Record):
    """Tokens of one request. ``input`` includes ``cached``."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None


class Plan(Record):
    """What the whole campaign owes, so that transcripts alone tell which runs are missing."""

    campaign: str
    suite: str
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    runs_per_task: int
    seed: int | None = Field(description="null: played elsewhere, and not known")


class ModelRecord(Record):
    """The model as it was used: ``settings`` as resolved, ``observed`` as found at the start.
    ``sampling`` is null where it was played elsewhere and is not fully known."""

    name: str
    kind: str
    settings: dict[str, Any]
    observed: dict[str, Any] = {}
    sampling: Sampling | None
    price: Price | None = None


class Started(Record):
    """The header: the first line of a transcript. Null in it is what an imported run, which
    another program played, does not say."""

    type: Literal["started"] = "started"
    schema_version: Literal[1] = SCHEMA_VERSION
    run: str = Field(description="the run's UUID, the same for each of its attempts")
    attempt: int = Field(ge=1)
    plan: Plan
    task: str
    task_digest: str
    variant_seed: int | None = Field(description="what the variant was drawn from; null: published")
    variant_digest: str | None = Field(
        description="of all that the model could come to see of the task"
    )
    repetition: int = Field(ge=1)
    model: ModelRecord
    seed: int | None = Field(ge=0, description="of this run; each turn's follows from it")
    budgets: Budgets | None
    oracle_calls: int | None = Field(
        default=None, ge=0, description="tool calls that the task's own solution makes"
    )
    tools: tuple[ToolSchema, ...]
    sandbox: dict[str, Any]
    versions: dict[str, str]
    started_at: datetime
    on_leak: OnLeak = Field(default="fail", exclude_if=lambda value: value == "fail")
    context_load: int = Field(
        default=0,
        ge=0,
        exclude_if=lambda value: value == 0,
        description="tokens, about, of earlier turns before the task",
    )


class Prompt(Record):
    """A message that enters the prompt and comes from neither the model nor a tool."""

    type: Literal["prompt"] = "prompt"
    role: Literal["system", "user"]
    content: Text
    nudge_after: int | None = Field(
        default=None,
        ge=1,
        exclude_if=_is_null,
        description="of a nudge: the turn whose reply leaked; null: no nudge",
    )


class Compute(Record):
    """What a local engine did for one reply. Digests are SHA-256 of token ids, each written as
    four bytes, the least significant first; those of a reply include the token that ended it."""

    evaluated: int = Field(description="tokens evaluated: of the prompt, and of the reply")
    prompt_sha256: str
    reply_sha256: str
    grammar_sha256: str | None = Field(default=None, description="of the GBNF that it had to fit")
    peak_memory_bytes: int | None = Field(
        default=None, description="of the worker's process, since it began"
    )
    vram_bytes: int | None = Field(default=None, description="that the worker holds at the end")
    watts: float | None = Field(
        default=None, description="of all GPUs, on average over the reply, whoever used them"
    )


class Completion(Record):
    """What a model gives back for one request."""

    text: Text = ""
    reasoning: Text | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason
    usage: Usage = Usage()
    first_token_seconds: float | None = None
    model_seconds: float | None = Field(
        default=None, description="from the request to its last token; null for scripts"
    )
    waited_seconds: float = Field(
        default=0.0, description="before that request: repetitions, outages, limits; nobody's time"
    )
    raw: Text | None = Field(
        default=None, description="the reply as it came, where the text is not all of it"
    )
    malformed: Text | None = Field(
        default=None, description="what was wrong with a tool call that could not be parsed"
    )
    compute: Compute | None = Field(default=None, description="of a local engine; null for others")


class Reply(Completion):
    """A completion in its place in the run."""

    type: Literal["reply"] = "reply"
    turn: int = Field(ge=1)


class Recovered(Record):
    """The calls that a reply had spelled as text, read out of it after all and carried out. The
    model made none of them: its reply stands in the transcript as it gave it.

    The conversation that goes on holds the reply with these calls and with ``text``, which is
    what was left of it.
    """

    type: Literal["recovered"] = "recovered"
    turn: int = Field(ge=1)
    dialect: str = Field(description="the one that read them")
    version: int = Field(description="the dialect's")
    text: Text
    tool_calls: tuple[ToolCall, ...] = Field(min_length=1)


class ToolResult(Record):
    """What a tool answered: ``content`` is what the model sees, whether or not it went well."""

    type: Literal["tool_result"] = "tool_result"
    turn: int = Field(ge=1)
    call_id: Text
    name: Text
    content: Text
    ok: bool
    seconds: float | None


class Earlier(Record):
    """Turns about something else that stand before the task, to load the context. Nobody played
    them: no reply in here is the model's, and none of it counts as a turn, a call or a token."""

    type: Literal["earlier"] = "earlier"
    tokens: int = Field(ge=1, description="how many were asked for; by a rule of thumb")
    messages: tuple[Annotated[Prompt | Reply | ToolResult, Field(discriminator="type")], ...]


class Signal(Record):
    """Something notable in a turn that is no outcome."""

    type: Literal["signal"] = "signal"
    turn: int = Field(ge=1)
    name: SignalName
    detail: Text


class Ended(Record):
    """Why the loop stopped of itself. ``budget`` is set exactly when one ran out."""

    type: Literal["ended"] = "ended"
    turn: int
    budget: BudgetName | None = None


class Fault(Record):
    """The world failed, and the attempt is over. ``detail`` is for people; ``kind`` and ``cause``
    are null where another program played, and says no more."""

    type: Literal["fault"] = "fault"
    kind: FaultKind | None
    cause: Cause | None
    detail: Text
    final: bool = Field(default=False, description="no retry mends it, or patience has ended")


class Repeat(Record):
    """The world failed one request, which was made again: nothing had come of it."""

    type: Literal["repeat"] = "repeat"
    turn: int = Field(ge=1)
    kind: FaultKind
    detail: Text
    waited_seconds: float = Field(description="from the fault to the next request")


EntryKind = Literal["text", "base64", "link", "other", "omitted"]


class Entry(Record):
    """What stands at a path of a workspace that is no folder one could look into."""

    kind: EntryKind
    content: Text = Field(
        description="text: a file's, which was UTF-8; base64: of a file's bytes; link: its target; "
        "other: what no checker can read, in words; omitted: what had no room here, in words"
    )
    executable: bool = Field(default=False, description="of files: whether anybody may run it")


class Change(Record):
    """One path at which a run left something else than it found. Null: nothing stood there."""

    path: Text = Field(description="from the workspace's top, with / between names")
    path_base64: str | None = Field(
        default=None, description="the path's bytes, where they are no UTF-8"
    )
    before: Entry | None
    after: Entry | None


class Left(Record):
    """What a run left in its workspace, against the one it began with; sorted by path.

    Of no account are empty folders, dates, owners and Python's caches: no checker is shown them.
    """

    type: Literal["left"] = "left"
    changes: tuple[Change, ...]
    left_out: Text | None = Field(
        default=None, description="what is missing here of the state after the run, in words"
    )

    @property
    def complete(self) -> bool:
        """Whether the changes, made to a pristine workspace, give the state that was graded."""
        return self.left_out is None


class Check(Record):
    """One thing a checker looked at."""

    name: str
    passed: bool
    detail: Text


class Verdict(Record):
    """What a checker says of a finished run: it accepts when every check passed."""

    checks: tuple[Check, ...] = Field(min_length=1)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


class Graded(Verdict):
    """The verdict in its place in the run."""

    type: Literal["graded"] = "graded"
    seconds: float | None


class Outcome(Record):
    """The last line: whose the run was, and what became of it."""

    type: Literal["outcome"] = "outcome"
    outcome: OutcomeName
    cause: Cause | None = None
    budget: BudgetName | None = None
    signals: tuple[SignalName, ...] = ()
    rescued: OutcomeName | None = Field(
        default=None,
        exclude_if=_is_null,
        description="what it would have been, had the rescue of a leak counted; null: none needed",
    )
    seconds: float | None
    ended_at: datetime


Event = Annotated[
    Started
    | Prompt
    | Earlier
    | Repeat
    | Reply
    | Recovered
    | ToolResult
    | Signal
    | Ended
    | Fault
    | Left
    | Graded
    | Outcome,
    Field(discriminator="type"),
]
Message = Prompt | Reply | ToolResult
"""What a conversation is made of: the events that enter the prompt."""

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
