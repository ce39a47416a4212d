"""A reader of a plan's details: from an operator's name, the words and its tensors it computes the operator's value.

Written for somebody who knows PyTorch's names and its layers' defaults, and nothing of the call: every setting that is
no tensor comes from the words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

WORDS: dict[str, tuple[str, ...]] = {
    "axis": ("dim", "dims", "dim0", "axis0", "source", "dimension"),
    "axes": ("dim", "dims", "source"),
    "with axis": ("dim1", "axis1"),
    "with axes": ("dim1",),
    "from axis": ("start_dim",),
    "to axis": ("end_dim", "destination"),
    "to axes": ("destination",),
    "order": ("dims", "ord", "p"),
    "from": ("start",),
    "to": ("end", "size", "shape", "sizes", "output_size"),
    "parts of": ("split_size", "split_sizes"),
    "cut at": ("indices",),
    "parts": ("chunks", "sections"),
    "times": ("repeats", "dims"),
    "by": ("shifts",),
    "factor": ("upscale_factor", "downscale_factor", "scale_factors"),
    "groups": ("groups", "num_groups", "group"),
    "over": ("normalized_shape",),
    "statistics of the batch": ("training",),
    "with": ("other",),
    "value": ("value", "fill_value"),
    "slope": ("negative_slope",),
    "lambda": ("lambd",),
    "min": ("min", "min_val"),
    "max": ("max", "max_val"),
    "approximation": ("approximate",),
    "rounding": ("rounding_mode",),
    "causal": ("is_causal",),
    "dropout": ("dropout_p",),
    "divided by": ("divisor_override",),
    "": ("kernel_size",),
}
FALSE_WORDS = {
    "stored statistics": "use_input_stats",
    "biased": "unbiased",
    "padding not counted": "count_include_pad",
    "smallest": "largest",
}
USUAL = {
    "device": torch.device("cpu"),
    "eps": 1e-5,
    "use_input_stats": True,
    "momentum": 0.1,
    "cudnn_enabled": False,
    "groups": 1,
}
SIDES = ("left", "right", "top", "bottom", "front", "back")


def recomputed(target: Any, text: str, tensors: Mapping[str, Any]) -> Any:
    """The operator's value. `tensors` are its tensors by the names that they have in torch's schema."""
    if not hasattr(target, "_schema"):
        return tensors["self"][int(text.removeprefix("item "))]
    name = target._schema.name.removeprefix("aten::")
    words = [part for part in text.split(", ") if part]
    if "pad" in name and "pool" not in name:
        return _padded(target, name, words, tensors)
    if name.startswith("conv"):
        return _convolved(name, words, tensors)
    if "upsample" in name:
        return _resized(target, words, tensors)
    return target(**{**_usual(target), **_settings(target, words), **tensors})


def _types(target: Any) -> dict[str, str]:
    return {argument.name: str(argument.type) for argument in target._schema.arguments}


def _usual(target: Any) -> dict[str, Any]:
    """What goes without saying: torch's own defaults are filled in by torch."""
    required = [argument for argument in target._schema.arguments if not argument.has_default_value()]
    found = {argument.name: False if str(argument.type) == "bool" else None for argument in required}
    return {**found, **{name: value for name, value in USUAL.items() if name in found}}


def _settings(target: Any, words: list[str]) -> dict[str, Any]:
    types, found = _types(target), dict[str, Any]()
    for part in words:
        if part == "all axes":
            continue
        if part in FALSE_WORDS or part.startswith("not "):
            found[FALSE_WORDS.get(part) or _argument(part.removeprefix("not "), types)[0]] = False
            continue
        name, said = _argument(part, types)
        found[name] = _value(types[name], said)
    return found


def _argument(part: str, types: Mapping[str, str]) -> tuple[str, str]:
    """The argument that the words are about, and the value that they say: the longest words first."""
    pieces = part.split(" ")
    for count in range(len(pieces), -1, -1):
        word = " ".join(pieces[:count])
        named = [name for name in (*WORDS.get(word, ()), word.replace(" ", "_")) if name in types]
        if named:
            return named[0], " ".join(pieces[count:])
    raise AssertionError(f"nobody knows what '{part}' means among {', '.join(types)}")


def _value(kind: str, said: str) -> Any:
    if "bool" in kind:
        assert not said
        return True
    numbers = [_number(number) for number in re.split(" x | ", said)] if "str" not in kind else []
    if kind.startswith(("List", "Optional[List")):
        return numbers
    return said if "str" in kind else numbers[0]


def _number(said: str) -> Any:
    if isinstance(getattr(torch, said, None), torch.dtype):
        return getattr(torch, said)
    for read in (int, float):
        try:
            return read(said)
        except ValueError:
            continue
    return complex(said)


def _padded(target: Any, name: str, words: list[str], tensors: Mapping[str, Any]) -> Tensor:
    (source,) = tensors.values()
    axes = next((axes for axes in (1, 2, 3) if f"{axes}d" in name), source.ndim - 2)
    amounts = {
        part.rpartition(" ")[0]: int(part.rpartition(" ")[2])
        for part in words
        if part.partition(" ")[0] in (*SIDES, "axis")
    }
    if name == "_pad_circular" and {"front", "back"} & {*amounts}:
        axes = 3
    modes = [part for part in words if part in ("reflect", "replicate", "circular")]
    value = next((float(part.removeprefix("value ")) for part in words if part.startswith("value ")), None)
    sides = [*SIDES, *(f"axis {source.ndim - 4} {where}" for where in ("before", "behind"))]
    count = 2 * axes if modes or name not in ("pad", "constant_pad_nd") else 2 * source.ndim
    given = [amounts.get(side, 0) for side in sides[:count]]
    if name != "pad":
        return target(source, given, *([] if name != "constant_pad_nd" else [value or 0]))
    return functional.pad(source, given, *(modes or ["constant"]), **({} if modes else {"value": value}))


def _resized(target: Any, words: list[str], tensors: Mapping[str, Any]) -> Tensor:
    said = {part.partition(" ")[0]: part.partition(" ")[2] for part in words}
    rank = next(value for value in tensors.values()).ndim - 2
    factors = [float(number) for number in _each(said["factor"], rank, number=False)] if "factor" in said else None
    size = _each(said["to"], rank) if "to" in said else None
    found: dict[str, Any] = {"output_size": size, "scale_factors": factors, "align_corners": "align_corners" in said}
    names = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}[rank]
    found |= dict(zip(names, factors or [None] * rank, strict=True))
    return target(**{name: value for name, value in found.items() if name in _types(target)}, **tensors)


def _convolved(name: str, words: list[str], tensors: Mapping[str, Any]) -> Tensor:
    """Padding of two sizes before and behind is laid on first."""
    found = {"stride": "1", "padding": "0", "dilation": "1", "output padding": "0", "groups": "1"}
    for part in words[1:]:
        word = next(word for word in (*found, "transposed") if part.startswith(word))
        found[word] = part.removeprefix(word).strip()
    source, weight, bias = (tensors.get(key) for key in ("input", "weight", "bias"))
    rank = weight.ndim - 2
    assert words[0] == " x ".join(map(str, weight.shape[2:]))
    stride, dilation, extra = (_each(found[key], rank) for key in ("stride", "dilation", "output padding"))
    padding = [side.split("+") * (1 if "+" in side else 2) for side in _each(found["padding"], rank, number=False)]
    groups = int(found["groups"])
    if "transpose" in name or "transposed" in found:
        shape = getattr(functional, f"conv_transpose{rank}d")
        return shape(source, weight, bias, stride, [int(before) for before, _ in padding], extra, groups, dilation)
    if all(before == behind for before, behind in padding):
        before = [int(side) for side, _ in padding]
        return getattr(functional, f"conv{rank}d")(source, weight, bias, stride, before, dilation, groups)
    source = functional.pad(source, [int(side) for axis in reversed(padding) for side in axis])
    return getattr(functional, f"conv{rank}d")(source, weight, bias, stride, 0, dilation, groups)


def _each(said: str, rank: int, *, number: bool = True) -> list[Any]:
    values = said.split(" x ")
    values = values * rank if len(values) == 1 else values
    return [int(value) for value in values] if number else values
