"""Plain data, and its text as JSON, which has no NaN, no infinity and no fractions, so that every parser reads it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

PlainData: TypeAlias = "bool | int | float | str | Sequence[PlainData] | Mapping[str, PlainData] | None"
"""Numbers, texts, lists and dictionaries with texts as keys: what a JSON document holds."""

_Data = TypeVar("_Data")


def plain(value: _Data) -> _Data:
    """The same data with lists for tuples, numbers for fractions, and None for every number that is not finite.

    >>> plain({"mean": float("nan"), "shape": (1, 2), "offset": Fraction(1, 2)})
    {'mean': None, 'shape': [1, 2], 'offset': 0.5}
    """
    found: Any = value
    if isinstance(value, Fraction):
        found = float(value)
    elif isinstance(value, float):
        found = value if math.isfinite(value) else None
    elif isinstance(value, dict):
        found = {key: plain(part) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        found = [plain(part) for part in value]
    return found


def json_text(value: object, *, is_ascii: bool = False) -> str:
    """Data as one JSON document, indented; flat lists stand on one line.

    >>> print(json_text({"size": (28, 28), "mean": float("nan")}))
    {
      "size": [28, 28],
      "mean": null
    }
    """
    text = json.dumps(plain(value), indent=2, ensure_ascii=is_ascii, allow_nan=False)
    # Within JSON's strings a line break is always escaped, so this changes no string.
    return re.sub(r"\[\n([^\[\]{}]*?)\n *\]", _on_one_line, text)


def _on_one_line(found: re.Match[str]) -> str:
    # Only what indents: white space within a string stays as it is.
    return f"[{' '.join(line.strip(' ') for line in found[1].split(chr(10)))}]"
