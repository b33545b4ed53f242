"""FunctionGemma.

    <start_function_call>call:fs_read{path:<escape>notes/a.txt<escape>}<end_function_call>

Results go back as ``<start_function_response>response:fs_read{value:<escape>...<escape>}
<end_function_response>``. Arguments are no JSON, see ``_gemma``; they are written as JSON here.
"""

from __future__ import annotations

import re

from harness.dialects import Dialect, Parsed, _ends
from harness.dialects._calls import take
from harness.dialects._gemma import Reader

_OPEN = re.compile(r"<start_function_call>")
_ENDS = ("<end_of_turn>", "<start_function_response>")
_CALL = Reader("<start_function_call>", "<end_function_call>", "<escape>", inner="<escape>")


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply."""
    return take(_ends.without(text, _ENDS), turn, _OPEN, _CALL)


DIALECT = Dialect(
    family="FunctionGemma",
    version=3,
    parse=parse,
    markup=r"<(?:start|end)_function_(?:call|response|declaration)>",
    in_template=r"<start_function_call>",
    stops=("<start_function_response>", "<end_of_turn>"),
)
