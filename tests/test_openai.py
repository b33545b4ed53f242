"""The kind ``openai``, against a server that misbehaves as told and against llama.cpp's own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.attribution import RULES
from harness.errors import BadInput, InfrastructureFault
from harness.models import Request
from harness.models.openai import Model, Settings
from harness.models.openai.connection import keepalive_socket
from harness.records import (
    Completion,
    FaultKind,
    Message,
    Prompt,
    Reply,
    Sampling,
    ToolCall,
    ToolResult,
    ToolSchema,
    Usage,
)
from tests.llama_server import LlamaServer, llama_server, smollm2
from tests.openai_server import (
    STREAM_HEAD,
    Behaviour,
    answer,
    calls,
    chunk,
    chunked,
    delta,
    endpoint,
    event,
    finish,
    hang,
    raw,
    reset,
    stream,
    usage,
)
from tests.waiting import HANGS, cpu_seconds, until_then

KEY = "sk-planted-4f1b8c2e9d7a6053"
FS_READ = ToolSchema(
    name="fs_read",
    description="Read a file.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
    },
)
ASKED = Prompt(role="user", content="What does a.txt say?")


def a_request(*conversation: Message, turn: int = 1, seed: int = 7, **more: Any) -> Request:
    fields: dict[str, Any] = {"tools": [FS_READ], "max_tokens": 32} | more
    return Request(
        run="run.1",
        turn=turn,
        conversation=conversation or (ASKED,),
        seed=seed,
        task_folder=Path(),
        **fields,
    )


@asynccontextmanager
async def opened(base_url: str, **settings: Any) -> AsyncIterator[Model]:
    keys = {"name": "x", "model": "m", "base_url": base_url} | settings
    model = Model(Settings.model_validate(keys))
    try:
        await model.open()
        yield model
    finally:
        await model.close()


async def reply_to(behaviour: Behaviour, **settings: Any) -> Completion:
    async with endpoint(behaviour) as server, opened(server.base_url, **settings) as model:
        return await model.reply(a_request())


async def fault_of(behaviour: Behaviour, **settings: Any) -> InfrastructureFault:
    with pytest.raises(InfrastructureFault) as caught:
        await reply_to(behaviour, **settings)
    return caught.value


async def refusal_to_open(base_url: str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        async with opened(base_url, **settings):
            pass
    return str(caught.value)


async def body_sent(*conversation: Message, **settings: Any) -> dict[str, Any]:
    """What the endpoint was posted for a conversation."""
    async with (
        endpoint(stream(delta("ok"), finish("stop"))) as server,
        opened(server.base_url, **settings) as model,
    ):
        await model.reply(a_request(*conversation))
        body: dict[str, Any] = server.posts[0].body
        return body


# What is asked.


async def test_everything_that_decides_which_tokens_are_drawn_is_sent() -> None:
    body = await body_sent(sampling=Sampling(temperature=0.3, top_p=0.9))
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "What does a.txt say?"}],
        "temperature": 0.3,
        "top_p": 0.9,
        "seed": 7,
        "max_tokens": 32,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": FS_READ.model_dump()}],
        "tool_choice": "auto",
    }


async def test_what_an_endpoint_does_not_take_is_left_out_and_what_it_wants_is_added() -> None:
    body = await body_sent(
        omit=["seed", "temperature", "stream_options"],
        extra_body={"cache_prompt": False},
        token_limit="max_completion_tokens",
    )
    assert body.keys().isdisjoint({"seed", "temperature", "stream_options", "max_tokens"})
    assert body["cache_prompt"] is False
    assert body["max_completion_tokens"] == 32


def conversation_with(arguments: str) -> tuple[Message, ...]:
    call = ToolCall(id="c1", name="fs_read", arguments=arguments)
    reply = Reply(turn=1, reasoning="hm", tool_calls=(call,), finish_reason="tool_calls")
    result = ToolResult(turn=1, call_id="c1", name="fs_read", content="42", ok=True, seconds=0.1)
    return ASKED, reply, result


async def test_a_call_goes_back_as_the_raw_text_the_model_sent_beside_its_result() -> None:
    odd = '{"path" :  "a\\u002etxt"}'
    _, reply, result = (await body_sent(*conversation_with(odd)))["messages"]
    called = {"id": "c1", "type": "function", "function": {"name": "fs_read", "arguments": odd}}
    assert reply == {"role": "assistant", "content": "", "tool_calls": [called]}
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "42"}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ("", "{}"),
        ('{"path": ', '{"malformed": "{\\"path\\": "}'),
        ("[1]", '{"malformed": "[1]"}'),
        ('{"a": NaN}', '{"malformed": "{\\"a\\": NaN}"}'),
        ("[" * 9999, '{"malformed": "' + "[" * 9999 + '"}'),
    ],
)
async def test_arguments_that_are_no_object_go_back_inside_one(arguments: str, sent: str) -> None:
    body = await body_sent(*conversation_with(arguments))
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == sent


async def test_a_name_that_endpoints_refuse_goes_back_in_letters_they_take() -> None:
    call = ToolCall(id="c1", name="functions.fs_read<|x|>", arguments="{}")
    reply = Reply(turn=1, tool_calls=(call,), finish_reason="tool_calls")
    result = ToolResult(turn=1, call_id="c1", name=call.name, content="no", ok=False, seconds=0.1)
    _, sent, _ = (await body_sent(ASKED, reply, result))["messages"]
    assert sent["tool_calls"][0]["function"]["name"] == "functions_fs_read__x__"


async def test_a_reply_cut_before_its_own_limit_met_the_end_of_the_context() -> None:
    used = {"choices": [], "usage": {"prompt_tokens": 500, "completion_tokens": 12}}
    told = await reply_to(stream(delta("and so"), finish("length"), used))
    assert told.finish_reason == "context"


async def test_reasoning_and_null_content_go_back_to_endpoints_that_want_them() -> None:
    body = await body_sent(
        *conversation_with("{}"), reasoning_key="reasoning_content", null_content=True
    )
    assert body["messages"][1]["reasoning_content"] == "hm"
    assert body["messages"][1]["content"] is None


async def test_an_answer_in_the_middle_of_a_conversation_is_sent_as_plain_text() -> None:
    said = Reply(turn=1, text="It says 42.", reasoning="hm", finish_reason="stop")
    body = await body_sent(ASKED, said, ASKED, reasoning_key="reasoning_content")
    assert body["messages"][1] == {"role": "assistant", "content": "It says 42."}


async def test_variables_meant_for_openai_itself_reach_no_other_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(variable, KEY)
    async with (
        endpoint(stream(delta("ok"), finish("stop"))) as server,
        opened(server.base_url) as model,
    ):
        await model.reply(a_request())
    assert KEY not in str(server.gets + server.posts)


# What comes back.


async def test_text_reasoning_and_usage_are_put_together_from_the_stream() -> None:
    told = await reply_to(
        stream(
            chunk(delta={"role": "assistant", "content": ""}),
            delta(reasoning_content="let me "),
            delta(reasoning_content="see"),
            delta("It says"),
            delta(" 42."),
            finish("stop"),
            usage(
                prompt_tokens=50,
                completion_tokens=9,
                prompt_tokens_details={"cached_tokens": 40},
            ),
        )
    )
    assert (told.text, told.reasoning, told.finish_reason) == ("It says 42.", "let me see", "stop")
    assert told.usage == Usage(input=50, cached=40, output=9)
    assert told.first_token_seconds is not None
    assert told.model_seconds is not None
    assert 0 < told.first_token_seconds <= told.model_seconds


async def test_usage_that_is_not_told_is_unknown_and_not_zero() -> None:
    told = await reply_to(stream(delta("ok"), finish("stop")))
    assert told.usage == Usage(input=None, cached=None, output=None)


async def test_cached_tokens_are_found_under_deepseeks_word_too() -> None:
    tokens = usage(prompt_tokens=50, completion_tokens=9, prompt_cache_hit_tokens=40)
    told = await reply_to(stream(delta("ok"), finish("stop"), tokens))
    assert told.usage.cached == 40


async def test_a_chunk_may_be_cut_anywhere_even_inside_a_character() -> None:
    whole = event(delta("naïve \u2028 文字 🦜")) + event(finish("stop"))
    single_bytes = [whole[at : at + 1] for at in range(len(whole))]
    assert (await reply_to(stream(*single_bytes))).text == "naïve \u2028 文字 🦜"


def piece(
    index: int | None, name: str | None = None, arguments: str = "", **more: Any
) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments} | ({"name": name} if name else {})
    return ({} if index is None else {"index": index}) | {"function": function} | more


READ_A, READ_B = '{"path": "a"}', '{"path": "b"}'
TWO_CALLS = (
    ToolCall(id="c1", name="fs_read", arguments=READ_A),
    ToolCall(id="c2", name="fs_read", arguments=READ_B),
)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                piece(0, "fs_read", id="c1"),
                piece(0, arguments='{"path"'),
                piece(1, "fs_read", id="c2"),
                piece(0, arguments=': "a"}'),
                piece(1, arguments=READ_B),
            ],
            id="in pieces by index",
        ),
        pytest.param(
            [
                piece(0, "fs_read", READ_A[:5], id="c1"),
                piece(0, "fs_read", READ_A[5:], id="c1"),
                piece(1, "fs_read", READ_B, id="c2"),
            ],
            id="name and id in every piece",
        ),
        pytest.param(
            [piece(0, "fs_read", READ_A, id="c1"), piece(0, "fs_read", READ_B, id="c2")],
            id="whole, under one index",
        ),
        pytest.param(
            [piece(None, "fs_read", READ_A, id="c1"), piece(None, "fs_read", READ_B, id="c2")],
            id="whole, without index",
        ),
        pytest.param(
            [
                piece(0, "fs_", id="c1"),
                piece(0, "read", READ_A),
                piece(1, "fs_read", READ_B, id="c2"),
            ],
            id="the name in pieces",
        ),
    ],
)
async def test_tool_calls_are_put_together_however_they_are_cut(
    pieces: list[dict[str, Any]],
) -> None:
    told = await reply_to(stream(*map(calls, pieces), finish("tool_calls")))
    assert told.tool_calls == TWO_CALLS
    assert told.finish_reason == "tool_calls"


async def test_calls_without_ids_get_ids_that_name_turn_and_place() -> None:
    pieces = [piece(None, "fs_read", READ_A), piece(None, "fs_read", READ_B, id="")]
    told = await reply_to(stream(calls(*pieces), finish("stop")))
    assert [call.id for call in told.tool_calls] == ["call_1_1", "call_1_2"]
    assert told.finish_reason == "tool_calls"


async def test_what_the_model_does_badly_is_kept_as_it_came() -> None:
    broken = piece(0, "no_such_tool", '{"path": "a', id="c1")
    told = await reply_to(stream(delta("<|im_end|>"), calls(broken), finish("tool_calls")))
    assert told.text == "<|im_end|>"
    assert told.tool_calls == (ToolCall(id="c1", name="no_such_tool", arguments='{"path": "a'),)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "filtered"),
        ("model_length", "context"),
    ],
)
async def test_finish_reasons_are_told_in_our_words(said: str, meant: str) -> None:
    assert (await reply_to(stream(delta("ok"), finish(said)))).finish_reason == meant


# A full context is the model's budget and no fault.


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded", "message": "too long"},
        {"type": "exceed_context_size_error", "message": "request (9 tokens) exceeds", "code": 400},
        {"message": "This model's maximum context length is 4096 tokens. However, you requested"},
        {"message": "the request exceeds the available context size, try increasing it"},
        {"message": "Prompt contains 9 tokens, too large for model with 8 maximum context length"},
        {"message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."},
        {"message": "Requested tokens (2285) exceed context window of 2048"},
    ],
    ids=lambda error: str(error["message"])[:30],
)
@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_refusal_because_the_context_is_full_is_an_answer(
    error: dict[str, Any], wrapped: bool
) -> None:
    told = await reply_to(answer(400, {"error": error} if wrapped else error))
    assert told == Completion(finish_reason="context")


async def test_a_full_context_reported_inside_a_stream_is_an_answer_too() -> None:
    error = {"error": {"type": "exceed_context_size_error", "message": "no room", "code": 400}}
    assert (await reply_to(stream(error, done=False))).finish_reason == "context"


async def test_an_error_that_quotes_a_conversation_about_contexts_is_no_full_context() -> None:
    quoted = "bad request: " + "x" * 300 + " maximum context length"
    assert (await fault_of(answer(400, {"error": {"message": quoted}}))).kind == "bad_request"


# Whose fault?

SAID_A = STREAM_HEAD + chunked(event(delta("a")))


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        pytest.param(reset(), "reset", id="reset before the headers"),
        pytest.param(reset(b"HTTP/1.1 200 OK\r\nconte"), "reset", id="reset in the headers"),
        pytest.param(reset(SAID_A), "reset", id="reset in the stream"),
        pytest.param(raw(), "reset", id="closed before the headers"),
        pytest.param(raw(SAID_A), "reset", id="closed in the stream"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9\r\n\r\n"), "garbled", id="not HTTP"),
        pytest.param(answer(200, b"<html>hello</html>"), "garbled", id="a page"),
        pytest.param(stream(b"data: {nope\n\n"), "garbled", id="not JSON"),
        pytest.param(stream(b"data: 5\n\n"), "garbled", id="not an object"),
        pytest.param(stream(b"data: " + b"[" * 99_999 + b"\n\n"), "garbled", id="very deep"),
        pytest.param(stream(b'data: "\xff"\n\n'), "garbled", id="not UTF-8"),
        pytest.param(stream({"choices": [{"delta": {"content": 5}}]}), "garbled", id="types"),
        pytest.param(stream({"choices": []}), "garbled", id="no choice and no usage"),
        pytest.param(stream(delta("a")), "garbled", id="no finish_reason"),
        pytest.param(stream(delta("a"), done=False), "garbled", id="neither that nor DONE"),
        pytest.param(
            stream(calls(piece(0, "fs_read", '{"pa', id="c1"))), "garbled", id="unfinished call"
        ),
        pytest.param(stream(finish("tool_calls")), "garbled", id="calls promised, none sent"),
        pytest.param(stream(finish("whatever")), "garbled", id="an unknown finish_reason"),
        pytest.param(stream(finish("error")), "broken_off", id="broken off by the server"),
        pytest.param(
            stream(delta("a"), {"error": {"message": "out of memory", "code": 500}}),
            "broken_off",
            id="an error in the stream",
        ),
        pytest.param(answer(500, {"error": {"message": "boom"}}), "server_error", id="500"),
        pytest.param(answer(503, b"<html>busy</html>"), "server_error", id="503 as a page"),
        pytest.param(answer(429, {"error": {"message": "slow down"}}), "rate_limited", id="429"),
    ],
)
async def test_what_the_world_did_is_a_fault_that_another_try_may_mend(
    behaviour: Behaviour, kind: FaultKind
) -> None:
    assert (await fault_of(behaviour)).kind == kind
    assert RULES[kind].remedy != "stop"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "not_allowed"), (402, "no_quota"), (403, "not_allowed"), (404, "not_found")],
)
async def test_what_no_retry_mends_stops_the_campaign(status: int, kind: FaultKind) -> None:
    found = await fault_of(answer(status, {"error": {"message": "go away"}}))
    assert (found.kind, RULES[kind].remedy) == (kind, "stop")
    assert f"HTTP {status}: go away" in str(found)


async def test_a_request_that_was_refused_is_a_bug_of_ours() -> None:
    found = await fault_of(answer(400, {"error": {"message": "messages[3] is not allowed"}}))
    assert (found.kind, RULES[found.kind].cause) == ("bad_request", "harness_bug")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry_After": "7"}, 7),
        ({"Retry_After_Ms": "1500", "Retry_After": "7"}, 1.5),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry_After": "soon"}, None),
        ({"X_Ratelimit_Remaining_Tokens": "0", "X_Ratelimit_Reset_Tokens": "1m30.5s"}, 90.5),
        ({"X_Ratelimit_Remaining_Tokens": "9", "X_Ratelimit_Reset_Tokens": "1m"}, None),
    ],
)
async def test_how_long_to_wait_is_read_from_the_servers_headers(
    headers: dict[str, str], seconds: float | None
) -> None:
    found = await fault_of(answer(429, {"error": {"message": "slow down"}}, **headers))
    assert (found.kind, found.retry_after) == ("rate_limited", seconds)


async def test_silence_before_the_first_token_times_out() -> None:
    assert (await fault_of(hang(), first_token_seconds=0.1)).kind == "silent"


async def test_silence_after_the_first_token_times_out_sooner() -> None:
    found = await fault_of(hang(SAID_A), first_token_seconds=600, stall_seconds=0.1)
    assert found.kind == "stalled"


async def test_a_server_that_is_slow_but_alive_does_not_time_out() -> None:
    slow = stream(*[delta("a")] * 12, finish("stop"), pause=0.2)
    told = await reply_to(slow, first_token_seconds=2, stall_seconds=2)
    assert told.text == "a" * 12
    assert told.model_seconds is not None
    assert told.model_seconds > 2


async def test_a_reply_without_end_is_cut_off() -> None:
    endless = stream(*[delta("a" * 4096)] * 64, pause=0.001)
    assert "longer than any reply" in str(await fault_of(endless))


async def test_an_endpoint_that_died_after_it_was_opened_is_unreachable() -> None:
    async with endpoint(stream(finish("stop"))) as server, opened(server.base_url) as model:
        pass
    async with opened_without_check(server.base_url) as model:
        with pytest.raises(InfrastructureFault, match="no connection"):
            await model.reply(a_request())


@asynccontextmanager
async def opened_without_check(base_url: str, **settings: Any) -> AsyncIterator[Model]:
    """A model whose endpoint answered once and is gone since."""
    port = int(base_url.split(":")[2].split("/")[0])
    listing = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"

    async def answer_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(listing)
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", port)
    try:
        async with opened(base_url, **settings) as model:
            server.close()
            yield model
    finally:
        server.close()


@pytest.mark.parametrize("before", [b"", SAID_A], ids=["before the headers", "in the stream"])
async def test_a_cancelled_request_hangs_up(before: bytes) -> None:
    async with endpoint(hang(before)) as server, opened(server.base_url) as model:
        asking = asyncio.create_task(model.reply(a_request()))
        await until_then(lambda: server.posts)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.hung_up.wait(), HANGS)


# Opening.


async def test_opening_tells_what_was_found() -> None:
    async with endpoint(stream(finish("stop"))) as server:
        model = Model(Settings(name="x", model="m", base_url=f"{server.base_url}/"))
        found = await model.open()
        await model.close()
        await model.close()
    assert found.pop("client").startswith("openai ")
    assert found == {
        "base_url": server.base_url,
        "server": "hostile",
        "models": ["m"],
        "model_listed": True,
        "context_window": None,
    }


@pytest.mark.parametrize("status", [404, 405, 500])
async def test_an_endpoint_that_cannot_list_its_models_is_reachable(status: int) -> None:
    async with endpoint(models=answer(status, b"no such page")) as server:
        model = Model(Settings(name="x", model="m", base_url=server.base_url))
        found = await model.open()
        await model.close()
    assert (found["models"], found["model_listed"]) == (None, None)


async def test_an_endpoint_that_refuses_the_key_is_bad_input() -> None:
    refuse = answer(401, {"error": {"message": "invalid key"}})
    async with endpoint(models=refuse) as server:
        told = await refusal_to_open(server.base_url)
    assert told.startswith(f"{server.base_url}: HTTP 401: invalid key")
    assert "api_key_env" in told


async def test_an_endpoint_that_is_not_there_is_bad_input_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        told = await refusal_to_open(address)
    assert told.startswith(f"{address}: no connection: ")
    assert told.endswith("start the server, or mend base_url")


async def test_a_host_that_no_name_server_knows_is_bad_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # so that no name server is asked
    told = await refusal_to_open("http://no-such-host.invalid/v1")
    assert told.startswith("http://no-such-host.invalid/v1: no such host: ")
    assert "Name or service not known" in told


async def test_an_endpoint_without_tls_at_an_https_address_is_bad_input() -> None:
    async with endpoint(stream(finish("stop"))) as server:
        told = await refusal_to_open(server.base_url.replace("http:", "https:"))
    assert "no connection: " in told


async def test_an_endpoint_that_hangs_when_opened_is_bad_input() -> None:
    async with endpoint(models=hang()) as server:
        told = await refusal_to_open(server.base_url, connect_seconds=1)
    assert "silent" in told


async def test_an_unset_key_variable_is_named_with_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    told = await refusal_to_open("http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY")
    assert told == (
        "model 'x': the environment variable NO_SUCH_KEY (api_key_env) is not set or empty; "
        "it must hold the endpoint's key"
    )


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{KEY}@host/v1",
        f"https://host/v1?key={KEY}",
        f"ftp://{KEY}",
        KEY,
        f"http://h:99999/{KEY}",
    ],
)
def test_an_address_that_may_hold_a_secret_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(BadInput, match=r"^base_url: ") as caught:
        Settings(name="x", model="m", base_url=address)
    assert KEY not in str(caught.value)


# The key.


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(401, {"error": {"message": f"{KEY} is not a key"}}),
        answer(400, {"error": {"message": f"sent with Bearer {KEY}"}}),
        answer(500, f"<html>{KEY}</html>".encode()),
        stream(delta("a"), {"error": {"message": KEY, "code": KEY}}),
        stream(finish(KEY)),
        stream(delta(KEY), delta(reasoning_content=KEY), finish("stop")),
        stream(
            calls(piece(0, KEY[:9], KEY[:9], id=KEY), piece(0, KEY[9:], KEY[9:])), finish("stop")
        ),
    ],
    ids=["401", "400", "500", "stream", "finish_reason", "reply", "call"],
)
async def test_a_key_that_the_server_echoes_is_shown_nowhere(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", f" {KEY}\n")
    listing = answer(200, {"data": [{"id": KEY}]}, server=KEY)
    async with endpoint(behaviour, models=listing) as server:
        settings = Settings(
            name="x", model="m", base_url=server.base_url, api_key_env="PLANTED_KEY"
        )
        model = Model(settings)
        shown: list[object] = [await model.open(), model, settings]
        try:
            shown.append(await model.reply(a_request()))
        except InfrastructureFault as fault:
            shown += [fault, fault.__cause__]
        await model.close()
    assert server.posts[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(shown)


# A real server.


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(smollm2()) as server:
        yield server


async def test_llama_cpp_completes_and_tells_its_usage(llama: LlamaServer) -> None:
    async with opened(llama.base_url) as model:
        told = await model.reply(a_request(max_tokens=8))
    assert told.text
    assert told.finish_reason == "length"
    assert told.usage.output == 8
    assert told.usage.input is not None
    assert told.usage.cached is not None


async def test_llama_cpp_repeats_itself_for_the_same_seed_alone(llama: LlamaServer) -> None:
    fresh = {"cache_prompt": False}
    async with opened(llama.base_url, extra_body=fresh) as model:
        texts = [(await model.reply(a_request(seed=seed))).text for seed in (7, 7, 8)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.parametrize("arguments", ['{"path": "a.txt"}', '{"path": broken', "[1]", ""])
async def test_llama_cpp_takes_back_a_call_and_its_result(
    llama: LlamaServer, arguments: str
) -> None:
    async with opened(llama.base_url) as model:
        first = await model.reply(a_request(max_tokens=8))
        second = await model.reply(a_request(*conversation_with(arguments), turn=2, max_tokens=8))
    assert second.text
    assert (second.usage.input or 0) > (first.usage.input or 0)


async def test_llama_cpp_says_when_the_context_is_full(llama: LlamaServer) -> None:
    long = Prompt(role="user", content="word " * 4000)
    async with opened(llama.base_url) as model:
        assert (await model.reply(a_request(long))).finish_reason == "context"


async def test_a_server_killed_in_the_middle_of_a_reply_is_unreachable() -> None:
    with llama_server(smollm2()) as server:
        # With no token that ends it, or a quick machine's reply might be whole by then.
        async with opened(server.base_url, extra_body={"ignore_eos": True}) as model:
            process = psutil.Process(server.process.pid)
            before = cpu_seconds(process)
            asking = asyncio.create_task(model.reply(a_request(max_tokens=1500)))
            await until_then(lambda: asking.done() or cpu_seconds(process) > before + 0.05)
            server.process.kill()
            with pytest.raises(InfrastructureFault):
                await asking


# Connections that are not used.


async def test_an_idle_endpoint_is_asked_for_something_small_now_and_then() -> None:
    async with endpoint(stream(delta("ok"), finish("stop"))) as server:
        began = time.monotonic()
        async with opened(server.base_url, heartbeat_seconds=0.1):
            await until_then(lambda: len(server.gets) == 4)  # one was the opening
            assert time.monotonic() - began > 0.25
        beats = len(server.gets)
        await asyncio.sleep(0.5)
        assert len(server.gets) <= beats + 1  # which was under way


async def test_a_heartbeat_that_finds_nobody_is_no_fault() -> None:
    async with endpoint(stream(delta("ok"), finish("stop"))) as server:
        gone = server.base_url
    async with opened_without_check(gone, heartbeat_seconds=0.05) as model:
        await asyncio.sleep(0.3)
        with pytest.raises(InfrastructureFault, match="no connection"):
            await model.reply(a_request())


async def test_connections_notice_a_peer_that_is_gone_without_a_word() -> None:
    made = keepalive_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ()))
    with made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        times = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert idle + times * made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= 90
