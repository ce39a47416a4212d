"""A call's settings in words, as a plan prints them: with the operator's name and its tensors enough for its value.

Every argument that is no tensor stands under its word, in the order of torch's schema. Axes are counted as in PyTorch,
from 0, which are the images. What PyTorch has by default is left out where a class of operators says so; what has no
influence on the value (devices, memory) always.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from featmap.graph.graph import items_of
from featmap.graph.operators.base.call import Call, Operand, schema_arguments

_WITHOUT_INFLUENCE = (
    *("memory_format", "layout", "device", "pin_memory", "non_blocking", "copy", "cudnn_enabled", "cudnn_enable"),
    *("momentum", "generator", "path", "implicit", "half_to_float"),
)
_AXES = (
    *("dim", "dims", "dim0", "dim1", "axis0", "axis1"),
    *("start_dim", "end_dim", "source", "destination", "dimension"),
)
_SIZES = ("size", "sizes", "repeats", "normalized_shape", "output_size", "kernel_size", "stride", "padding", "dilation")

WORDS = {
    "dim": "axis",
    "dims": "axis",
    "dim0": "axis",
    "axis0": "axis",
    "source": "axis",
    "dimension": "axis",
    "dim1": "with axis",
    "axis1": "with axis",
    "start_dim": "from axis",
    "end_dim": "to axis",
    "destination": "to axis",
    "start": "from",
    "end": "to",
    "split_size": "parts of",
    "split_sizes": "parts of",
    "indices": "cut at",
    "chunks": "parts",
    "sections": "parts",
    "repeats": "times",
    "shifts": "by",
    "upscale_factor": "factor",
    "downscale_factor": "factor",
    "num_groups": "groups",
    "group": "groups",
    "normalized_shape": "over",
    "training": "statistics of the batch",
    "other": "with",
    "fill_value": "value",
    "negative_slope": "slope",
    "lambd": "lambda",
    "min_val": "min",
    "max_val": "max",
    "ord": "order",
    "approximate": "approximation",
    "rounding_mode": "rounding",
    "is_causal": "causal",
    "dropout_p": "dropout",
}
"""The word for an argument; where none is given its own name with spaces."""

WORDS_FOR_FALSE = {"use_input_stats": "stored statistics", "unbiased": "biased", "largest": "smallest"}
"""The word for an argument that is off; where none is given, `not` and its word if it is on by default, or nothing."""


def in_words(settings: Mapping[str, Any], left_out: Mapping[str, Any], words: Mapping[str, str], rank: int) -> str:
    """The settings, one after the other.

    `left_out` are values that are not said, by argument. `words` come before `WORDS`. `rank` counts the axes.
    """
    found: list[str] = []
    for name, value in settings.items():
        is_left_out = name in _WITHOUT_INFLUENCE or (name in left_out and left_out[name] == value)
        if value is not None and value != [] and not is_left_out:
            word = words.get(name, WORDS.get(name, name.replace("_", " ")))
            if value is False:
                usual = f"not {word}" if left_out.get(name) is True else ""
                found.append(WORDS_FOR_FALSE.get(name, usual))
            else:
                found.append(_said(name, word, value, rank))
    return ", ".join(text for text in found if text)


def settings_of(call: Call) -> dict[str, Any]:
    """The arguments that are no tensors, by name and in the order of torch's schema, as captured."""
    names = schema_arguments(call.node.target)[0]
    return {name: call[name] for name in names if name in call.arguments and not _holds_tensor(call[name])}


def defaults_of(call: Call) -> Mapping[str, Any]:
    """torch's own defaults, but those of axes, which are always said."""
    return {name: value for name, value in schema_arguments(call.node.target)[1].items() if name not in _AXES}


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_tensor, items_of(value)))
    return isinstance(value, Operand)


def _said(name: str, word: str, value: Any, rank: int) -> str:
    if isinstance(value, bool):
        return word
    if name in _AXES:
        value = _counted_from_front(value, rank)
        word = word.replace("axis", "axes") if isinstance(value, list) and len(items_of(value)) != 1 else word
    if isinstance(value, list | tuple):
        return f"{word} {(' x ' if name in _SIZES else ' ').join(map(str, items_of(value)))}".strip()
    if isinstance(value, torch.dtype):
        return f"{word} {value}".replace("torch.", "").strip()
    return f"{word} {value}".strip()


def _counted_from_front(value: Any, rank: int) -> Any:
    if isinstance(value, list | tuple):
        return [axis % rank for axis in items_of(value)]
    return value % rank if isinstance(value, int) and rank else value
