"""Arguments of the families that write no types: ``<arg_value>123</arg_value>``.

Is that 123 a number or a text? Only the tool knows, and a dialect knows no tools. So every value
is the text that the model wrote, character for character, and ``harness.toolbox`` reads it as what
the parameter is: "123" stays a text where a text is asked for, and is a number, a list, nothing
(``null``) where one of these is. No right call fails so, whatever its values; and when the
call is rendered again, in a later turn, the template writes what the model wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def arguments(values: Mapping[str, Any]) -> str:
    """JSON of a call's arguments: texts, or objects and lists of texts where the family nests."""
    return json.dumps(values, ensure_ascii=False)
