# ruff: noqa: RUF001 (the bars are DeepSeek's own)
"""What models were seen to write when they called tools, as their users and the makers of parsers
report it in public, in words of our own: read as calls where they can mean nothing else.

Gemma 4's are in ``test_dialect_gemma4``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from harness.dialects import Parsed, every
from harness.leaks import leaks_in

ALL = every()
Call = tuple[str, dict[str, Any]]
READ: Call = ("fs_read", {"path": "a.txt"})
LISTED: Call = ("shell", {"command": "ls"})


@dataclass(frozen=True)
class Seen:
    """A reply that was seen, where it is told of, and the calls that it makes. ``text`` and
    ``reasoning`` are what else it holds."""

    dialect: str
    source: str
    reply: str
    calls: tuple[Call, ...] = (READ,)
    text: str = ""
    reasoning: str | None = None


_XML = "<function=fs_read>\n<parameter=path>\na.txt\n</parameter>\n</function>"
_JSON = '{"name": "fs_read", "arguments": {"path": "a.txt"}}'
_OTHER = '{"name": "shell", "arguments": {"command": "ls"}}'
_KIMI = '<|tool_call_begin|>functions.fs_read:0<|tool_call_argument_begin|>{"path": "a.txt"}'
_INVOKE = '<invoke name="fs_read">\n<parameter name="path">a.txt</parameter>\n</invoke>'
_DSML = (
    '<｜DSML｜invoke name="fs_read">\n<｜DSML｜parameter name="path" string="true">a.txt'
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
)
_ARG = "<arg_key>path</arg_key><arg_value>a.txt</arg_value>"

_QWEN_AGENT = (
    "https://github.com/QwenLM/Qwen-Agent/blob/main/qwen_agent/llm/fncall_prompts/"
    "nous_fncall_prompt.py"
)

SEEN = [
    # Qwen3-Coder leaves the first tag out, not the last.
    Seen(
        "qwen_xml",
        "https://github.com/ollama/ollama/issues/16686",
        f"I look.\n\n{_XML}\n</tool_call>",
        text="I look.",
    ),
    # Values that nothing ends but what follows them.
    Seen(
        "qwen_xml",
        "https://github.com/vllm-project/vllm/issues/57699",
        "<tool_call>\n<function=fs_read>\n<parameter=path>\na.txt\n</function>\n</tool_call>",
    ),
    # A name without its ">".
    Seen(
        "qwen_xml",
        "https://github.com/ml-explore/mlx-lm/pull/1881",
        "<tool_call>\n<function=fs_read\n<parameter=path\na.txt\n</parameter>\n</function>\n"
        "</tool_call>",
    ),
    # Thoughts that are not ended, or ended too late.
    Seen(
        "qwen_xml",
        "https://github.com/vllm-project/vllm/pull/35687",
        f"<think>\nI look.\n\n<tool_call>\n{_XML}\n</tool_call>",
        reasoning="I look.",
    ),
    Seen(
        "qwen_xml",
        "https://github.com/sgl-project/sglang/pull/22837",
        f"<think>\n<tool_call>\n{_XML}\n</tool_call>",
    ),
    Seen(
        "qwen_xml",
        "https://github.com/vllm-project/vllm/pull/35687",
        f"<think>\nI look.\n\n<tool_call>\n{_XML}\n</tool_call>\n</think>\n",
        reasoning="I look.",
    ),
    # A call that is drafted in a thought and then made is made once.
    Seen(
        "hermes",
        "https://github.com/PrimeIntellect-ai/renderers/pull/80",
        f"<think>\nSo:\n<tool_call>\n{_OTHER}\n</tool_call>\n</think>\n\n"
        f"<tool_call>\n{_JSON}\n</tool_call>",
        reasoning=f"So:\n<tool_call>\n{_OTHER}\n</tool_call>",
    ),
    # Several calls, or too many braces, between one pair of tags.
    Seen(
        "hermes",
        "https://github.com/vllm-project/vllm/issues/17790",
        f"<tool_call>\n{_JSON}\n{_OTHER}\n</tool_call>",
        calls=(READ, LISTED),
    ),
    Seen(
        "hermes",
        "https://github.com/vllm-project/vllm/issues/17790",
        f"<tool_call>\n{_JSON},\n{_OTHER}\n</tool_call>",
        calls=(READ, LISTED),
    ),
    Seen(
        "hermes",
        "https://github.com/vllm-project/vllm/issues/17790",
        f"<tool_call>[{_JSON}, {_OTHER}]</tool_call>",
        calls=(READ, LISTED),
    ),
    Seen(
        "hermes",
        "https://github.com/ml-explore/mlx-lm/pull/1264",
        f"<tool_call>\n{_JSON}}}\n</tool_call>\n<tool_call>\n{_OTHER}\n</tool_call>",
        calls=(READ, LISTED),
    ),
    Seen(
        "hermes",
        "https://github.com/ahwurm/localharness/issues/104",
        '<tool_call>{"name": "fs_read", "parameters": {"path": "a.txt"}}</tool_call>',
    ),
    # What is nearly JSON, which Qwen's own parser takes.
    Seen(
        "hermes",
        _QWEN_AGENT,
        '<tool_call>\n{"name": "fs_read", "arguments": {"path": "a.txt",},}\n</tool_call>',
    ),
    Seen(
        "hermes",
        _QWEN_AGENT,
        "<tool_call>{'name': 'fs_read', 'arguments': {'path': \"it's\", 'all': True}}</tool_call>",
        calls=(("fs_read", {"path": "it's", "all": True}),),
    ),
    # Arguments as a text, of Granite 4 and of Mistral.
    Seen(
        "hermes",
        "https://github.com/vllm-project/vllm/pull/45216",
        '<tool_call>\n{"name": "fs_read", "arguments": "{\\"path\\": \\"a.txt\\"}"}\n</tool_call>',
    ),
    Seen(
        "mistral",
        "https://github.com/ml-explore/mlx-lm/pull/1394",
        '[TOOL_CALLS] [{"name": "fs_read", "arguments": "{\\"path\\": \\"a.txt\\"}"}]',
    ),
    # Words behind a call, and calls behind each other.
    Seen(
        "mistral_args",
        "https://github.com/ml-explore/mlx-lm/pull/1448",
        '[TOOL_CALLS]fs_read[ARGS]{"path": "a.txt"}[TOOL_CALLS]shell[ARGS]{"command": "ls"}\n\n'
        "I see.",
        calls=(READ, LISTED),
        text="I see.",
    ),
    Seen(
        "granite3",
        "https://github.com/vllm-project/vllm/pull/44713",
        f"<tool_call>[{_JSON}]",
    ),
    # Llama's bare JSON behind words, and its built-in tools.
    Seen(
        "llama3",
        "https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1/",
        '<|python_tag|>brave_search.call(query="who said "so it goes"?")',
        calls=(("brave_search", {"query": 'who said "so it goes"?'}),),
    ),
    Seen(
        "llama3",
        "https://github.com/raullenchai/Rapid-MLX/pull/703",
        '<|python_tag|>{"name": "fs_read", "arguments": {"path": "a.txt"}}',
    ),
    # GLM 4.7 forgets the tag before a value, and which call it is in.
    Seen(
        "glm",
        "https://github.com/vllm-project/vllm/issues/49248",
        "<tool_call>fs_read<arg_key>path</arg_key>a.txt</arg_value></tool_call>",
    ),
    Seen(
        "glm",
        "https://github.com/vllm-project/vllm/issues/49248",
        f"<tool_call>fs_read{_ARG}<tool_call>shell<arg_key>command</arg_key>ls</arg_value>"
        "</tool_call>",
        calls=(READ, LISTED),
    ),
    Seen(
        "glm",
        "https://github.com/vllm-project/vllm/issues/32213",
        "<tool_call>fs_list</tool_call>",
        calls=(("fs_list", {}),),
    ),
    # Kimi K2 leaves out the section, or its end, or spells it in the singular; or thinks on.
    Seen("kimi", "https://github.com/ggml-org/llama.cpp/pull/17376", _KIMI),
    Seen(
        "kimi",
        "https://github.com/ggml-org/llama.cpp/pull/17376",
        f"<|tool_call_section_begin|>{_KIMI}<|tool_call_end|><|tool_call_section_end|>",
    ),
    Seen(
        "kimi",
        "https://github.com/thinking-machines-lab/tinker-cookbook/pull/248",
        f"<|tool_calls_section_begin|>{_KIMI.replace('functions.', '')}<|tool_call_end|>",
    ),
    Seen(
        "kimi",
        "https://github.com/ikawrakow/ik_llama.cpp/issues/955",
        f"<think>I look.<|tool_calls_section_begin|>{_KIMI}<|tool_call_end|>",
        reasoning="I look.",
    ),
    # DeepSeek V3.1 calls out of its thought; distillations open a section for each call.
    Seen(
        "deepseek",
        "https://github.com/sgl-project/sglang/pull/9446",
        "<think>I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>fs_read<｜tool▁sep｜>"
        '{"path": "a.txt"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        reasoning="I look.",
    ),
    Seen(
        "deepseek",
        "https://github.com/verl-project/verl/pull/7635",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>fs_read<｜tool▁sep｜>"
        '{"path": "a.txt"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>\n'
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>shell\n```json\n"
        '{"command": "ls"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        calls=(READ, LISTED),
    ),
    # DeepSeek V4 mangles the tag around its calls, or leaves it out.
    Seen(
        "deepseek_dsml",
        "https://github.com/vllm-project/vllm/issues/51914",
        f"<｜DSML｜toolcalls>\n{_DSML}</｜DSML｜tool_calls>",
    ),
    Seen("deepseek_dsml", "https://github.com/sgl-project/sglang/issues/40236", _DSML),
    # MiniMax M2 with its closing tag in an argument, and with an end left out.
    Seen(
        "minimax_m2",
        "https://github.com/ai-dynamo/frontend-crates/pull/245",
        '<minimax:tool_call><invoke name="shell"><parameter name="command">echo '
        "</minimax:tool_call> more</parameter></invoke></minimax:tool_call>",
        calls=(("shell", {"command": "echo </minimax:tool_call> more"}),),
    ),
    Seen(
        "minimax_m2",
        "https://github.com/MiniMax-AI/MiniMax-M2.5/issues/10",
        f"<minimax:tool_call>\n  {_INVOKE}\n</minimax:tool_call>",
    ),
    # LFM2's names, and numbers that are none to Python.
    Seen(
        "lfm2",
        "https://github.com/ml-explore/mlx-lm/pull/1246",
        "<|tool_call_start|>[fs.read(path='a.txt', with=['b', {'c': 1}])]<|tool_call_end|>",
        calls=(("fs.read", {"path": "a.txt", "with": ["b", {"c": 1}]}),),
    ),
    Seen(
        "lfm2",
        "https://github.com/vllm-project/vllm/pull/52900",
        "<|tool_call_start|>[at(hour=09, minute=00, by=+5, near=-007.50)]<|tool_call_end|>",
        calls=(("at", {"hour": 9, "minute": 0, "by": 5, "near": -7.5}),),
    ),
    # gpt-oss calls in its thoughts' channel, and stumbles into a second one.
    Seen(
        "gpt_oss",
        "https://github.com/jundot/omlx/issues/2216",
        "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>analysis "
        'to=functions.fs_read code<|message|>\n{"path": "a.txt"}<|call|>',
        reasoning="I look.",
    ),
    Seen(
        "gpt_oss",
        "https://github.com/ggml-org/llama.cpp/blob/master/common/parsers/gpt-oss.cpp",
        "<|channel|>commentary<|channel|>analysis<|message|>I look.<|end|><|start|>assistant"
        '<|channel|>commentary to=functions.fs_read<|message|>{"path": "a.txt"}<|call|>',
        reasoning="I look.",
    ),
    Seen(
        "gpt_oss",
        "https://github.com/ggml-org/llama.cpp/pull/15181",
        " to=functions.fs_read<|channel|>commentary <|constrain|>json<|message|>"
        '{"path": "a.txt"}<|call|>',
    ),
]

REFUSED = [
    # JSON that lacks its end.
    Seen(
        "hermes",
        "https://github.com/NousResearch/hermes-agent/pull/5315",
        '<tool_call>{"name": "fs_read", "arguments": {"path": "a.txt"}</tool_call>',
    ),
    # An argument without a name, and one that runs into the next.
    Seen(
        "qwen_xml",
        "https://github.com/vllm-project/vllm/pull/55497",
        "<tool_call>\n<function=shell>\n<parameter=\nls\n</parameter>\n</function>\n</tool_call>",
    ),
    # A name that has run into an argument's: which tool is it?
    Seen(
        "glm",
        "https://github.com/vllm-project/vllm/pull/47190",
        "<tool_call>shellcommand</arg_key><arg_value>ls</arg_value></tool_call>",
    ),
    # Quotes in quotes, and arguments without an end.
    Seen(
        "hermes",
        "https://github.com/minpeter/ai-sdk-tool-call-middleware/issues/298",
        '<tool_call>{"name": "shell", "arguments": {"command": "echo "a" b"}}</tool_call>',
    ),
    Seen(
        "deepseek",
        "https://github.com/vllm-project/vllm/issues/26897",
        '<｜tool▁call▁begin｜>fs_read<｜tool▁sep｜>{"path": "a.txt"<｜tool▁call▁end｜>',
    ),
    # Arguments that nothing says are the call's.
    Seen(
        "hermes",
        "https://github.com/ahwurm/localharness/issues/104",
        '<tool_call>{"name": "fs_read", "path": "a.txt"}</tool_call>',
    ),
    # DeepSeek's own parser refuses it too.
    Seen(
        "deepseek_dsml",
        "https://github.com/sgl-project/sglang/pull/39435",
        '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="fs_read">\n<parameter name="path">a.txt'
        "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
    ),
    # Tags without their brackets.
    Seen(
        "minimax_m2",
        "https://github.com/exo-explore/exo/issues/1882",
        '<minimax:tool_call>\ninvoke name="shell">\nparameter name="command">lsparameter>\n'
        "invoke>\n</minimax:tool_call>",
    ),
    # A header that OpenAI's own parser refuses.
    Seen(
        "gpt_oss",
        "https://github.com/openai/harmony/issues/38",
        "<|channel|>commentary––commentary to=functions.ls <|constrain|>json<|message|>{}<|call|>",
    ),
]


LEAKED = [
    # Bare JSON in a fence, a mark that is there only at the end, and a spelling of no template.
    Seen(
        "llama3",
        "https://github.com/raullenchai/Rapid-MLX/pull/703",
        '<function=fs_read>{"path": "a.txt"}</function>',
    ),
    Seen(
        "llama3",
        "https://github.com/ollama/ollama/issues/13519",
        '```json\n{"name": "fs_read", "parameters": {"path": "a.txt"}}\n```',
    ),
    Seen(
        "hermes",
        "https://github.com/ollama/ollama/issues/16686",
        f"{_JSON}\n</tool_call>",
    ),
    Seen(
        "lfm2",
        "https://github.com/itayinbarr/little-coder/issues/42",
        "fs_read(path='a.txt')]<|tool_call_end|>",
    ),
    Seen(
        "minimax_m2",
        "https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/2224",
        '[TOOL_CALL]\n{tool => "fs_read", args => {\n  --path "a.txt"\n}}\n[/TOOL_CALL]',
    ),
]


def _id(seen: Seen) -> str:
    return f"{seen.dialect}-{seen.source.removeprefix('https://')}-{len(seen.reply)}"


@pytest.mark.parametrize("seen", SEEN, ids=_id)
def test_what_models_were_seen_to_write_is_read_as_they_meant_it(seen: Seen) -> None:
    parsed = ALL[seen.dialect].parse(seen.reply, 1)
    assert [(call.name, json.loads(call.arguments)) for call in parsed.tool_calls] == [*seen.calls]
    assert (parsed.text, parsed.malformed) == (seen.text, None)
    assert parsed.reasoning == seen.reasoning


@pytest.mark.parametrize("seen", REFUSED, ids=_id)
def test_what_could_mean_several_things_is_a_malformed_call(seen: Seen) -> None:
    parsed = ALL[seen.dialect].parse(seen.reply, 1)
    assert (parsed.tool_calls, parsed.text) == ((), seen.reply)
    assert parsed.malformed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # https://github.com/ggml-org/llama.cpp/issues/18183
        ("hermes", f"A call is written like this:\n```json\n{_JSON}\n```"),
        # https://github.com/vllm-project/vllm/issues/43104
        ("hermes", 'fs_read(path="a.txt")'),
        # No tokens of Llama's: in the middle of a text they are shown.
        (
            "llama3",
            'Not this:\n```\n<function=shell>{"command": "rm -r b"}</function>\n```\nIt is 7.',
        ),
        ("llama3", 'Meta spells it <function=shell>{"command": "ls"}</function> there. It is 7.'),
    ],
)
def test_a_call_that_no_token_opens_is_text_where_it_is_shown(name: str, text: str) -> None:
    assert ALL[name].parse(text, 1) == Parsed(text)


@pytest.mark.parametrize("seen", LEAKED, ids=_id)
def test_what_no_parser_could_know_for_a_call_has_leaked(seen: Seen) -> None:
    assert ALL[seen.dialect].parse(seen.reply, 1) == Parsed(seen.reply)
    assert leaks_in(seen.reply)


@pytest.mark.parametrize(
    ("name", "reply", "command"),
    [
        (
            "glm",
            "<tool_call>shell<arg_key>command</arg_key><arg_value>{}</arg_value></tool_call>",
            "echo '</arg_value><tool_call>' '<arg_key>x</arg_key>'",
        ),
        (
            "qwen_xml",
            "<tool_call>\n<function=shell>\n<parameter=command>\n{}\n</parameter>\n</function>\n"
            "</tool_call>",
            "cat > a.xml <<E\n<parameter=x>\nb\n</parameter>\nE",
        ),
        (
            "qwen_xml",
            "<tool_call>\n<function=shell>\n<parameter=command>\n{}\n</parameter>\n</function>\n"
            "</tool_call>",
            "echo 'Write it so:\n<parameter=path>\nb.txt'",
        ),
        (
            "gemma4",
            '<|tool_call>call:shell{{command:<|"|>{}<|"|>}}<tool_call|>',
            "echo 'a, b: {c}', x=\"y\" ],d:1",
        ),
        (
            "llama3",
            '<|python_tag|>shell.call(command="{}")',
            'python3 -c "print(f(x="a", y)); g()" && echo \'a\', "b"',
        ),
    ],
)
def test_a_command_that_looks_like_what_models_forget_is_the_whole_command(
    name: str, reply: str, command: str
) -> None:
    parsed = ALL[name].parse(reply.format(command), 1)
    assert [json.loads(call.arguments) for call in parsed.tool_calls] == [{"command": command}]
    assert (parsed.text, parsed.malformed) == ("", None)


def test_json_in_python_keeps_the_escapes_of_json() -> None:
    def call(arguments: str) -> Parsed:
        written = f'<tool_call>\n{{"name": "shell", "arguments": {arguments}}}\n</tool_call>'
        return ALL["hermes"].parse(written, 1)

    (slashed,) = call(r'{"command": "ls a\/b",}').tool_calls
    assert json.loads(slashed.arguments) == {"command": "ls a/b"}
    pattern = call(r"""{"command": "grep '\bfoo\d+' a.txt"}""")
    assert pattern.malformed, "what no JSON has is no guess at what Python would make of it"
    assert not pattern.tool_calls


def test_thoughts_on_how_a_call_is_spelled_make_none() -> None:
    # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1592
    thought = "Some write `<function=...>`, others <tool_call> and JSON."
    parsed = ALL["qwen_xml"].parse(f"<think>\n{thought}\n</think>\n\nBoth.", 1)
    assert parsed == Parsed("Both.", reasoning=thought)
