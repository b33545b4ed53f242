# ruff: noqa: RUF001 (the bars are DeepSeek's own)
"""How each family spells calls, text and thoughts: written here, apart from the parsers, after
the chat templates of the families (``tests/test_templates.py`` proves the same on those)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Calls = Sequence[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Spelling:
    """A family's way. ``typed``: numbers in its arguments stay numbers. ``escaped``: no argument
    can hold what would end it."""

    calls: Callable[[Calls], str]
    thought: tuple[str, str] | None = ("<think>", "</think>")
    said: Callable[[str], str] = str
    typed: bool = True
    escaped: bool = True


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(calls: Calls, **more: str) -> str:
    return _json([{"name": name, "arguments": arguments, **more} for name, arguments in calls])


def _tags(calls: Calls, tag: str = "tool_call", blank: str = "\n") -> str:
    return "\n".join(
        f"<{tag}>\n<function={name}>\n"
        + "".join(
            f"<parameter={key}>{blank}{value}{blank}</parameter>\n"
            for key, value in arguments.items()
        )
        + f"</function>\n</{tag}>"
        for name, arguments in calls
    )


def _dsml(calls: Calls, block: str) -> str:
    def invoke(name: str, arguments: dict[str, Any]) -> str:
        return "\n".join(
            [
                f'<｜DSML｜invoke name="{name}">',
                *(
                    f'<｜DSML｜parameter name="{key}" string="true">{value}</｜DSML｜parameter>'
                    if isinstance(value, str)
                    else f'<｜DSML｜parameter name="{key}" string="false">{_json(value)}'
                    "</｜DSML｜parameter>"
                    for key, value in arguments.items()
                ),
                "</｜DSML｜invoke>\n",
            ]
        )

    return f"<｜DSML｜{block}>\n" + "".join(invoke(*call) for call in calls) + f"</｜DSML｜{block}>"


def _r1(calls: Calls) -> str:
    return (
        "<｜tool▁calls▁begin｜>"
        + "\n".join(
            f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{_json(arguments)}\n```"
            "<｜tool▁call▁end｜>"
            for name, arguments in calls
        )
        + "<｜tool▁calls▁end｜>"
    )


def _v31(calls: Calls) -> str:
    return (
        "<｜tool▁calls▁begin｜>"
        + "".join(
            f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{_json(arguments)}<｜tool▁call▁end｜>"
            for name, arguments in calls
        )
        + "<｜tool▁calls▁end｜>"
    )


def _k2(calls: Calls) -> str:
    return (
        "<|tool_calls_section_begin|>"
        + "".join(
            f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>"
            f"{_json(arguments)}<|tool_call_end|>"
            for number, (name, arguments) in enumerate(calls)
        )
        + "<|tool_calls_section_end|>"
    )


def _k3(calls: Calls) -> str:
    def argument(key: str, value: object) -> str:
        kind, text = ("string", value) if isinstance(value, str) else ("number", _json(value))
        key = key.replace("&", "&amp;").replace('"', "&quot;")
        return f'<|open|>argument key="{key}" type="{kind}"<|sep|>{text}<|close|>argument<|sep|>'

    return (
        "<|open|>tools<|sep|>"
        + "".join(
            f'<|open|>call tool="{name}" index="{number}"<|sep|>'
            + "".join(argument(key, value) for key, value in arguments.items())
            + "<|close|>call<|sep|>"
            for number, (name, arguments) in enumerate(calls, start=1)
        )
        + "<|close|>tools<|sep|>"
    )


def _k3_said(text: str) -> str:
    return f"<|open|>response<|sep|>{text}<|close|>response<|sep|>"


def _llama(calls: Calls) -> str:
    return "; ".join(_json({"name": name, "parameters": values}) for name, values in calls)


def _built_in(calls: Calls) -> str:
    def called(name: str, values: dict[str, Any]) -> str:
        given = ", ".join(f'{key}="{value}"' for key, value in values.items())
        return f"{name}.call({given})"

    return "<|python_tag|>" + "; ".join(called(*call) for call in calls)


SPELLINGS: dict[str, list[Spelling]] = {
    "apertus": [
        Spelling(
            lambda calls: (
                f"<|tools_prefix|>{_json([{name: values} for name, values in calls])}"
                "<|tools_suffix|>"
            ),
            thought=("<|inner_prefix|>", "<|inner_suffix|>"),
        )
    ],
    "apriel": [
        Spelling(
            lambda calls: f"<tool_calls>{_list(calls)}</tool_calls>",
            thought=("Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),
        ),
        Spelling(lambda calls: f"<tool_calls>{_list(calls, id='x')}</tool_calls>", thought=None),
    ],
    "deepseek": [Spelling(_r1), Spelling(_v31)],
    "deepseek_dsml": [
        Spelling(lambda calls: _dsml(calls, "function_calls"), escaped=False),
        Spelling(lambda calls: _dsml(calls, "tool_calls"), escaped=False),
    ],
    "firefunction": [Spelling(lambda calls: f" functools{_list(calls)}", thought=None)],
    "functionary": [
        Spelling(
            lambda calls: "".join(
                f"<function={name}>{_json(values)}</function>" for name, values in calls
            ),
            thought=None,
        )
    ],
    "functionary32": [
        Spelling(
            lambda calls: "".join(f">>>{name}\n{_json(values)}" for name, values in calls),
            thought=None,
            said=lambda text: f">>>all\n{text}",
        )
    ],
    "gigachat": [
        Spelling(
            lambda calls: "".join(
                "<|message_sep|>\n\nfunction call<|role_sep|>\n"
                + _json({"name": name, "arguments": values})
                for name, values in calls
            ),
            thought=None,
        ),
        Spelling(
            lambda calls: "".join(
                "<|function_call|>" + _json({"name": name, "arguments": values})
                for name, values in calls
            ),
            thought=None,
        ),
    ],
    "granite3": [Spelling(lambda calls: f"<|tool_call|>{_list(calls)}")],
    "kimi": [Spelling(_k2)],
    "kimi_k3": [
        Spelling(
            _k3,
            thought=("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
            said=_k3_said,
            escaped=False,
        )
    ],
    "llama3": [
        Spelling(lambda calls: "<|python_tag|>" + _llama(calls), thought=None),
        Spelling(_built_in, thought=None, typed=False, escaped=False),
    ],
    "mistral": [
        Spelling(lambda calls: f"[TOOL_CALLS]{_list(calls, id='a1B2c3D4e')}", thought=None),
        Spelling(lambda calls: f"[TOOL_CALLS] {_list(calls)}", thought=None),
    ],
    "mistral_args": [
        Spelling(
            lambda calls: "".join(
                f"[TOOL_CALLS]{name}[ARGS]{_json(values)}" for name, values in calls
            ),
            thought=("[THINK]", "[/THINK]"),
        ),
        Spelling(
            lambda calls: "".join(
                f"[TOOL_CALLS]{name}[CALL_ID]a1B2c3D4e[ARGS]{_json(values)}"
                for name, values in calls
            ),
            thought=None,
        ),
    ],
    "nemotron2": [Spelling(lambda calls: f"<TOOLCALL>{_list(calls)}</TOOLCALL>")],
    "qwen_xml": [
        Spelling(_tags, typed=False, escaped=False),
        Spelling(
            lambda calls: _tags(calls, "seed:tool_call", ""),
            thought=("<seed:think>", "</seed:think>"),
            typed=False,
            escaped=False,
        ),
    ],
}
