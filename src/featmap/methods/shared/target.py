"""Scores: a class, one value of the output, a map's activity, or one unit, each read as one number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.errors import AddressError, InputError, SettingError
from featmap.geometry import Box
from featmap.graph.graph import TensorSpec, items_of
from featmap.graph.operators.table import operator_of
from featmap.methods.shared.class_names import class_named, class_words
from featmap.network.address import Address
from featmap.network.network import CapturedNetwork
from featmap.run.magnitudes import is_complex, measured

Target: TypeAlias = "int | str | Address | Sequence[int] | None"
Activity = Literal["maximum", "mean", "sum"]
Scale = Literal["logit", "probability"]

_INDEX = re.compile(r"(?:\[(?:\d+(?:\s*,\s*\d+)*|'[^']*'|\"[^\"]*\")\])+")
_LISTED = 8
_PART = re.compile(r"\[(.*?)\]")


@dataclass(frozen=True)
class Score:
    """How a number is read from a value of the network.

    `node` is the value, `box` the part of it that is needed (all of it where `None`). `read` turns the value for some
    images into one number each: the whole value, or (image, position) of one feature map where `channel` says which.
    `name` says what it is.
    """

    name: str
    node: int
    box: Box | None
    read: Callable[[Tensor], Tensor]
    is_unit: bool = False
    channel: int | None = None


def score_of(
    network: CapturedNetwork, target: Target, *, scale: Scale = "logit", activity: Activity = "maximum"
) -> Score | None:
    """The score that a target means; None for the predicted class, which only the image decides.

    Raises: InputError: no such class or position in the output. AddressError: no such map, unit or class.
    """
    _check_choice("scale", scale, ("logit", "probability"))
    _check_choice("activity", activity, ("maximum", "mean", "sum"))
    if target is None:
        _check_unused("activity", activity, "maximum", "a class has one score")
        _vector_output(network)
        return None
    if isinstance(target, bool):
        raise InputError(f"A target of {target} is not a class.", "Give a class index, an output index or an address.")
    number = class_named(network, target)
    if number is not None:
        _check_unused("activity", activity, "maximum", "a class has one score")
        return class_score(network, number, scale)
    if not isinstance(target, str | Address | tuple | list):
        raise InputError(
            f"A target of {target!r}, of type {type(target).__name__}, is no score.",
            "Give a class index, a position in the output such as (3, 10, 12), or a map or unit by its address.",
        )
    text = str(target).strip()
    _check_unused("scale", scale, "logit", "only the scores of classes become probabilities")
    if isinstance(target, tuple | list) or text.startswith("["):
        _check_unused("activity", activity, "maximum", "a position in the output is one number")
        return _output_score(network, [tuple(target)] if isinstance(target, tuple | list) else _index_parts(text))
    score = _map_score(network, Address.parse(target), activity)
    if score.is_unit:
        _check_unused("activity", activity, "maximum", "a unit is one number")
    return score


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingError(
            f"{name} '{value}' is unknown; it can be {', '.join(allowed)}.", f"Use {name}={allowed[0]!r}."
        )


def _check_unused(name: str, value: str, default: str, reason: str) -> None:
    """Raises SettingError where a setting was given that this target does not use."""
    if value != default:
        raise SettingError(f"{name} '{value}' does not apply to this target: {reason}.", f"Leave {name} out.")


def _vector_output(network: CapturedNetwork) -> tuple[int, int]:
    """The node of the output and its number of classes, for networks that return one vector (or one number)."""
    found = network.scores
    if found is None:
        raise _no_vector(network)
    if is_complex(network.sized, found[0]):
        raise InputError(
            f"{network.name} returns complex numbers, which have no order: none of them is the score of a class.",
            "Name a position in the output, such as '[3]': its score is the magnitude there.",
        )
    return found


def _no_vector(network: CapturedNetwork) -> InputError:
    """Why no class can be meant, with the parts of the output and how one number of the first is named."""
    parts = list(_parts(network.graph.unflatten(list(network.graph.outputs))))
    shapes = {at: () if node is None else network.sized.shape(node) for at, node in parts}
    sizes = ["nothing" if node is None else "x".join(map(str, shapes[at])) or "one number" for at, node in parts]
    described = [f"{at} {size}".strip() for (at, _), size in zip(parts, sizes, strict=True)]
    more = f" and {len(described) - _LISTED} more" if len(described) > _LISTED else ""
    first = next((at for at, node in parts if node is not None), "")
    shape = shapes.get(first, ())
    place = ",".join(str(size // 2) for size in (shape[1:] if shape[:1] == (1,) else shape))
    example = f"{first}[{place}]" if place else first
    return InputError(
        f"{network.name} does not return one score per class; "
        f"its output has shape {', '.join(described[:_LISTED])}{more}.",
        f"Name a position in the output, such as {_quoted(example)}, or a map or unit by its address."
        if example
        else "Name a map or unit by its address.",
    )


def _quoted(text: str) -> str:
    """In the quotes that a shell takes, where the text has not both kinds itself."""
    quote = "'" if "'" not in text else '"' if '"' not in text else "`"
    return f"{quote}{text}{quote}"


def _parts(value: Any, at: str = "") -> Iterator[tuple[str, int | None]]:
    """The tensors of an output, each with the steps that lead to it, written as a target."""
    fields = getattr(value, "_fields", None)
    steps: list[tuple[Any, Any]]
    if isinstance(value, dict):
        steps = list(cast("dict[Any, Any]", value).items())
    elif fields is not None:
        steps = list(zip(fields, value, strict=True))
    elif isinstance(value, list | tuple):
        steps = list(enumerate(items_of(value)))
    else:
        yield at, value if isinstance(value, int) else None
        return
    for key, part in steps:
        yield from _parts(part, f"{at}[{key!r}]")


def class_score(network: CapturedNetwork, index: int, scale: Scale) -> Score:
    """The score of one class."""
    node, count = _vector_output(network)
    if not 0 <= index < count:
        raise InputError(
            f"There is no class {index}; {network.name} has {count}.", f"Ask for a class from 0 to {count - 1}."
        )

    last = network.graph[node]
    if scale == "probability" and count == 1 and operator_of(last).is_probability(network.sized.call(last)):
        raise SettingError(f"{network.name} returns one number that is a probability already.", "Leave scale out.")

    def read(value: Tensor) -> Tensor:
        vectors = measured(value).reshape(-1, count)
        if scale == "probability":
            # The softmax of one number is always 1: a single score is that of one class against none.
            vectors = vectors.sigmoid() if count == 1 else vectors.softmax(dim=1)
        return vectors[:, index]

    return Score(f"{scale} of {class_words(network, index)}", node, None, read)


def _index_parts(text: str) -> list[Any]:
    if not _INDEX.fullmatch(text):
        raise InputError(
            f"'{text}' is not a position in an output.",
            "Write indices in brackets: '[3,10,12]' or \"['logits'][0][3]\".",
        )
    parts: list[Any] = []
    for part in _PART.findall(text):
        is_name = part[0] in "'\""
        parts.append(part[1:-1] if is_name else tuple(int(number) for number in part.split(",")))
    return parts


def _output_score(network: CapturedNetwork, parts: list[Any]) -> Score:
    """A position in the output: steps into its structure down to a tensor, then an index without the batch axis."""
    value: Any = network.graph.unflatten(list(network.graph.outputs))
    steps = list(parts)
    while not isinstance(value, int) and value is not None and steps:
        value = _step_into(value, steps, network)
    if not isinstance(value, int):
        raise InputError(f"The index {parts} does not lead to a tensor of the output.", "Go on to one of its tensors.")
    index = tuple(number for step in steps for number in items_of(step))
    name = f"output {''.join(str(items_of(p)) if isinstance(p, tuple) else f'[{p!r}]' for p in parts)}"
    return _place_score(network, value, index, name)


def _place_score(network: CapturedNetwork, node: int, index: tuple[Any, ...], name: str) -> Score:
    """One number of an output; of maps only that unit is needed."""
    spec, axes = network.sized.specs[node], network.sized.axes[node]
    shape = spec.shape if isinstance(spec, TensorSpec) else ()
    has_images = axes.batch == 0 or shape[:1] == (1,)
    _check_index(shape[1:] if has_images else shape, index, name)
    where, box = list(index), None
    if axes.batch == 0 and axes.has_space:
        box = Box.at([index[axis - 1] for axis in axes.in_space])
        for axis in axes.in_space:
            where[axis - 1] = 0

    def read(tensor: Tensor) -> Tensor:
        return measured(tensor[(slice(None), *where)] if has_images else tensor[tuple(where)].reshape(1))

    return Score(named_unit(network, node, name), node, box, read)


def _step_into(value: Any, steps: list[Any], network: CapturedNetwork) -> Any:
    step = steps.pop(0)
    if isinstance(step, tuple):
        first, *rest = items_of(step)
        if rest:
            steps.insert(0, tuple(rest))
        step = first
    names = getattr(value, "_fields", ())
    try:
        return getattr(value, step) if step in names else value[step]
    except (KeyError, IndexError, TypeError) as error:
        problem = f"The output of {network.name} has no part {step!r}."
        raise InputError(problem, f"Its parts are {_named_parts(value)}.") from error


def _named_parts(value: Any) -> str:
    if isinstance(value, dict):
        return str(list(cast("dict[Any, Any]", value)))
    return ", ".join(getattr(value, "_fields", ())) or f"0 to {len(value) - 1}"


def _check_index(shape: tuple[int, ...], index: tuple[Any, ...], name: str) -> None:
    """Raises InputError unless the index names one number of a tensor of this shape."""
    pairs = zip(index, shape, strict=False)
    if len(index) == len(shape) and all(isinstance(i, int) and 0 <= i < n for i, n in pairs):
        return
    sizes = " x ".join(map(str, shape)) or "one number"
    raise InputError(
        f"{name} does not exist: that tensor is {sizes} (without the image axis).",
        "Give one index per axis, each below the size of its axis.",
    )


def _map_score(network: CapturedNetwork, address: Address, activity: Activity) -> Score:
    place = network.place(address)
    channel = place.address.channel
    if channel is None:
        raise AddressError(f"'{place.address}' names a whole layer, not one feature map.", "Name one: LAYER/CHANNEL.")
    node = place.node
    if place.address.unit is not None:
        box = Box.at(place.address.unit)

        def read_unit(values: Tensor) -> Tensor:
            return measured(values[:, 0])

        return Score(named_unit(network, node, str(place.address)), node, box, read_unit, is_unit=True, channel=channel)

    def read_map(values: Tensor) -> Tensor:
        numbers = measured(values)
        return {"maximum": numbers.amax, "mean": numbers.mean, "sum": numbers.sum}[activity](dim=1)

    return Score(f"{activity} of {named_map(network, node, str(place.address))}", node, None, read_map, channel=channel)


def named_unit(network: CapturedNetwork, node: int, address: str) -> str:
    """What a unit's score is called: its address, of a complex value with what the score is of it."""
    return f"magnitude of {address}" if is_complex(network.sized, node) else address


def named_map(network: CapturedNetwork, node: int, address: str) -> str:
    """The same of a map."""
    return f"magnitudes of {address}" if is_complex(network.sized, node) else address


def predicted(value: Shaped[Tensor, "*axes"]) -> int:
    """The class with the highest score of one image."""
    return int(torch.argmax(measured(value).reshape(-1)))
