"""Calls of an operator of the table, drawn from its schema: names and types of its arguments say what may be given.

What torch refuses is drawn again. The draws of an overload are the same in every run.
"""

from __future__ import annotations

import operator as python_operator
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from featmap.graph.operators.table import TABLE
from featmap.graph.schema import schema_of
from support.operators.arguments import (
    CHOICES,
    ELEMENTS,
    LEFT_OUT,
    LISTS,
    NAMED_NONE,
    NUMBERS,
    OF_FEW_SHAPES,
    PACKED,
    READ_UNCHECKED,
    SCALES,
    SWITCHED_OFF,
    TENSOR_LISTS,
    TENSORS,
    WORDS,
    Draw,
    Redraw,
    partners,
)
from support.operators.tensors import FORMS, KINDS, RARE_FORMS, Constant, Made, aten, of_kind

MOST_DRAWS = 500
FEW_DRAWS = 100
SIZES = ((6, 5), (4, 7), (5, 6))
_NUMBERS = {"int": (0, 1, 2, 3), "float": (0.25, 0.5, 2.0)}
_NUMBERS |= dict.fromkeys(("number", "complex"), (0, -1, 0.25, 0.5, 2, 3))
RANGES = ((0.1, 0.9), (-2.0, 2.0), (1.1, 3.0))


class Unfit(Exception):
    """Arguments of a kind that nothing is drawn for."""


@dataclass(frozen=True, eq=False)
class OperatorCall:
    """One call: the operator, its arguments with `Made` and `Constant` for tensors, and the images it is for."""

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    size: tuple[int, int]
    range: tuple[float, float]

    def image(self, seed: int) -> Tensor:
        """An image of 4 channels with numbers of the call's range."""
        low, high = self.range
        generator = torch.Generator().manual_seed(seed)
        return torch.rand((1, 4, *self.size), generator=generator, dtype=torch.float64) * (high - low) + low

    def value(self, image: Tensor) -> Any:
        """What torch makes of that image."""
        kwargs = {name: with_tensors(value, image) for name, value in self.kwargs.items()}
        return self.target(*with_tensors(self.args, image), **kwargs)

    def __str__(self) -> str:
        return f"{self.target}({self.args}, {self.kwargs}) of {self.size}, {self.range}"


def with_tensors(value: Any, image: Tensor) -> Any:
    """Arguments with the tensors that stand for them."""
    if isinstance(value, Made):
        return value.of(image)
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, list | tuple):
        return type(value)(with_tensors(item, image) for item in value)
    return value


def overloads(name: str) -> Iterator[Any]:
    """torch's operators of an entry: all overloads that write over nothing and have no entry of their own."""
    if name == "getitem":
        yield python_operator.getitem
        return
    namespace, _, plain = name.rpartition(".")
    own = ""
    if hasattr(torch.ops.aten, namespace):
        namespace, plain, own = "", namespace, plain
    packet = getattr(getattr(torch.ops, namespace or "aten"), plain, None)
    for overload in [] if packet is None else packet.overloads():
        target = getattr(packet, overload)
        has_own_entry = not own and f"{name}.{overload}" in TABLE
        is_of_scripts = "hacked_twin" in overload
        if (not own or own == overload) and not has_own_entry and not is_of_scripts and _makes_tensors(target):
            yield target


def _makes_tensors(target: Any) -> bool:
    """Whether an operator of tensors makes new ones; torch has some of numbers alone, and some that write over one."""
    schema = schema_of(target)
    writes = any(argument.alias_info and argument.alias_info.is_write for argument in schema.arguments)
    return not writes and any("Tensor" in str(value.type) for value in schema.returns)


def calls(target: Any, count: int) -> list[OperatorCall]:
    """Up to `count` calls that torch takes; more draws of real numbers than of other types."""
    random = Random(crc32(str(target).encode()))
    found: dict[str, OperatorCall] = {}
    idle: dict[str, OperatorCall] = {}
    for number in range(MOST_DRAWS):
        if len(found) == count or (number > FEW_DRAWS and not found and _is_idle(target, idle, count)):
            break
        kind = "real" if random.random() < 0.7 else random.choice([*KINDS])
        try:
            call = _drawn(target, random, kind, is_rare=number > FEW_DRAWS and not found)
        except Unfit:
            break
        except Redraw:
            continue
        made = _trial(call) if call is not None and str(call) not in found | idle else None
        if call is not None and made is not None:
            (found if _reads(made) else idle)[str(call)] = call
    return [*found.values()] or [*idle.values()][:count]


def _is_idle(target: Any, idle: dict[str, OperatorCall], count: int) -> bool:
    """Whether no more draws are worth it where none read the image: nothing could, or torch took many."""
    return len(idle) >= 5 * count or not _takes_tensors(target)


def _takes_tensors(target: Any) -> bool:
    if target is python_operator.getitem:
        return True
    return any("Tensor" in str(argument.type) for argument in schema_of(target).arguments)


def _trial(call: OperatorCall) -> list[list[Tensor]] | None:
    """What torch makes of several images; None where it refuses one, numbers are not finite, or weights change."""
    image = call.image(0)
    before = [constant.value.clone() for constant in constants(call)]
    found: list[list[Tensor]] = []
    for given in (image, image.flip(3), image + 5, image - 5):
        try:
            torch.manual_seed(0)
            found.append(parts_of(call.value(given)))
            is_fit = found[0][0].numel() > 0 and all(part.isfinite().all() for part in found[0])
        except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
            return None
        if not is_fit or [part.shape for part in found[-1]] != [part.shape for part in found[0]]:
            return None
    after = [constant.value for constant in constants(call)]
    return found if all(map(torch.equal, before, after)) and _has_known_shape(call) else None


def _has_known_shape(call: OperatorCall) -> bool:
    """Whether torch can tell the shape without numbers; no graph is exported otherwise."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        try:
            call.value(torch.empty((1, 4, *call.size), dtype=torch.float64))
        except Exception:  # Numbers decide on the shape, or torch's own rule for it fails.
            return False
    return True


def _reads(made: list[list[Tensor]]) -> bool:
    """Whether the numbers of the images matter."""
    return any(not torch.equal(one, other) for again in made[1:] for one, other in zip(made[0], again, strict=True))


def constants(call: OperatorCall) -> list[Constant]:
    """The call's weights."""
    return [leaf for leaf in _leaves((call.args, tuple(call.kwargs.values()))) if isinstance(leaf, Constant)]


def reads_unchecked(call: OperatorCall) -> bool:
    """Whether constants fit an image of this size alone and torch does not look: it might read past their end."""
    if not constants(call):
        return False
    schema = schema_of(call.target)
    is_private = schema.name.rpartition("::")[2].startswith("_")
    names = {argument.name for argument in schema.arguments}
    return is_private or bool(READ_UNCHECKED & names)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def parts_of(value: Any) -> list[Tensor]:
    """The tensors that an operator returns."""
    parts = value if isinstance(value, list | tuple) else [value]
    return [part for part in parts if isinstance(part, Tensor)]


def _drawn(target: Any, random: Random, kind: str, *, is_rare: bool) -> OperatorCall | None:
    size = random.choice(SIZES)
    main = of_kind(random.choice(RARE_FORMS if is_rare else FORMS), kind)
    try:
        shape = tuple(main.of(torch.ones(1, 4, *size, dtype=torch.float64)).shape)
    except RuntimeError:
        return None
    arguments = [] if target is python_operator.getitem else schema_of(target).arguments
    types = {argument.name: str(argument.type) for argument in arguments}
    draw = Draw(
        random,
        main,
        shape,
        size,
        types,
        random.choice((1, 2, 3)),
        random.choice((0, 1)),
        is_private="._" in str(target),
    )
    if not arguments:
        parts = main.then(aten.chunk.default, 2, draw.axis())
        return OperatorCall(target, (parts, random.choice((0, 1))), {}, size, random.choice(RANGES))
    middle = _middle(arguments, random)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for at, argument in enumerate(arguments):
        if argument.has_default_value() and random.random() < 0.3:
            value = argument.default_value
        else:
            value = main if at == middle and argument.name not in OF_FEW_SHAPES else _argument(argument, draw)
        if argument.kwarg_only:
            kwargs[argument.name] = value
        else:
            args.append(value)
    _check_scales(dict(zip(types, [*args, *kwargs.values()], strict=False)), shape)
    return OperatorCall(target, tuple(args), kwargs, size, random.choice(RANGES))


def _check_scales(given: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Raises: Redraw: factors that do not give the size, or only of some axes, where torch takes both."""
    scales = [value for name, value in given.items() if name in SCALES]
    known = [scale for scale in scales if scale is not None]
    if known:
        fit = [int(size * scale) for size, scale in zip(shape[-len(scales) :], known, strict=False)]
        if len(known) != len(scales) or fit != given["output_size"]:
            raise Redraw


def _middle(arguments: Any, random: Random) -> int | None:
    """Which tensor argument the others are drawn for; mostly the first."""
    tensors = [at for at, argument in enumerate(arguments) if str(argument.type) == "Tensor"]
    if not tensors:
        return None
    return tensors[0] if random.random() < 0.8 else random.choice(tensors)


def _argument(argument: Any, draw: Draw) -> Any:
    name, kind = argument.name, str(argument.type)
    plain = kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional[") else kind
    if kind in LEFT_OUT or name in NAMED_NONE:
        return None if plain != "Device" else torch.device("cpu")
    # Without statistics of either sort some of torch's kernels read what is not there.
    is_needed = name in ("running_mean", "running_var") and "use_input_stats" not in draw.types
    if plain != kind and not is_needed and draw.random.random() < 0.5:
        return None
    return _value(name, plain, argument, draw)


def _value(name: str, kind: str, argument: Any, draw: Draw) -> Any:
    if name in ("dtype", "out_dtype"):
        return draw.among(None, torch.float64, torch.float32) if "Optional" in str(argument.type) else torch.float64
    if kind == "Tensor" and name != PACKED:
        return TENSORS.get(name, partners)(draw)
    if kind in ("List[Tensor]", "List[Optional[Tensor]]"):
        return TENSOR_LISTS[name](draw) if name in TENSOR_LISTS else _several(draw)
    if kind in ("List[int]", "List[float]"):
        if name in LISTS:
            return LISTS[name](draw, argument.N)
        return draw.each(argument.N or draw.length(name), ELEMENTS.get(name, (1, 2, 3)))
    if kind in ("int", "float", "number", "complex"):
        return NUMBERS[name](draw) if name in NUMBERS else draw.among(*CHOICES.get(name, _NUMBERS[kind]))
    if kind == "bool":
        if name == "batch_first":
            return draw.batch_axis == 0
        if name == "training" and "running_mean" not in draw.types:
            return True
        return name not in SWITCHED_OFF and draw.among(True, False)
    if name == "equation" and 1 in draw.shape[1:]:
        # A sum over one product is no product of matrices to torch, but one to a count.
        raise Redraw
    if kind == "str" and name in WORDS:
        return draw.among(*WORDS[name])
    raise Unfit(f"{name} of type {kind}")


def _several(draw: Draw) -> list[Any]:
    """A few tensors of one form, one of them a constant now and then."""
    return [draw.main, *(partners(draw) for _ in range(draw.among(1, 1, 2)))]
