"""Sensible arguments by name and type, for all operators alike: what torch's schemas do not say.

Torch itself judges whether they fit together: a call that it refuses is drawn again. So an entry here only has to name
what may fit; most arguments need none.
"""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

import torch

from support.operators.tensors import IMAGE, Constant, Made, aten, real_numbers, whole_numbers

Shape = tuple[int, ...]


class Redraw(Exception):
    """What was drawn does not fit, which torch would not say."""


@dataclass(frozen=True)
class Draw:
    """What an argument is drawn by: chance, the tensor in the middle of the call, and its shape."""

    random: Random
    main: Made
    shape: Shape
    image_size: tuple[int, int]
    types: Mapping[str, str]
    """The types of the call's arguments by name."""
    spatial: int = 2
    """How many axes kernels, strides and the like have, where the schema leaves it open."""
    batch_axis: int = 0
    """The axis of the images in sequences."""
    is_private: bool = False
    """Whether torch checks little: it calls the operator itself, with axes counted from the front."""

    @property
    def rank(self) -> int:
        return len(self.shape)

    def axis(self) -> int:
        """An axis, counted from either end."""
        return self.random.randrange(0 if self.is_private else -self.rank, self.rank) if self.rank else 0

    def each(self, count: int | None, values: Sequence[Any]) -> list[Any]:
        """So many of the values; of no given number between one and three."""
        return [self.random.choice(values) for _ in range(count or self.random.randint(1, 3))]

    def length(self, name: str) -> int:
        """The length of a list; padding may be given before and behind."""
        return self.spatial * (self.among(1, 2) if name in ("pad", "padding") else 1)

    def among(self, *values: Any) -> Any:
        return self.random.choice(values)


def _axes(draw: Draw, count: int | None) -> list[int]:
    if draw.is_private and "last_dim_size" in draw.types:
        return [draw.rank - 1]
    order = list(range(draw.rank))
    draw.random.shuffle(order)
    kept = draw.among(len(order), count or draw.random.randint(1, 3))
    from_behind = 0.0 if draw.is_private else 0.3
    return [axis - draw.rank if draw.random.random() < from_behind else axis for axis in order[:kept]]


def _sizes(draw: Draw, _count: int | None) -> list[int]:
    """The shape with two axes joined, one axis split, one enlarged, or one more in front."""
    if "theta" in draw.types:
        return draw.among([1, 2, 5, 6], [1, 2, 3, 4, 5])
    sizes = list(draw.shape) or [1]
    at = draw.random.randrange(len(sizes))
    rest = draw.among(-1, prod(sizes[at : at + 2]))
    joined = [*sizes[:at], rest, *sizes[at + 2 :]]
    split = [*sizes[:at], 2, sizes[at] // 2, *sizes[at + 1 :]]
    enlarged = [5 if size == 1 and axis else draw.among(size, -1) for axis, size in enumerate(sizes)]
    return draw.among(joined, split, enlarged, [2, *sizes], [2, -1], sizes[1:], sizes)


def _parts(draw: Draw, _count: int | None) -> list[int]:
    size = draw.among(*draw.shape) if draw.shape else 2
    return draw.among([1, size - 1], [size - 2, 1, 1], [2, size - 2])


def _output_sizes(draw: Draw, count: int | None) -> list[int]:
    count = count or draw.among(1, 2, 3)
    own = list(draw.shape[-count:])
    doubled = [2 * size for size in own]
    return draw.among(
        own, doubled, list(draw.image_size), draw.each(count, range(1, 6)), draw.each(count, range(2, 13))
    )


def _last_sizes(draw: Draw, _count: int | None) -> list[int]:
    return list(draw.shape[-draw.among(1, 2, 3) :])


def _repeats(draw: Draw, _count: int | None) -> list[int]:
    times = [1] * draw.rank
    if times:
        times[draw.axis()] = 2
    return draw.among(times, [2, *times])


LISTS: dict[str, Callable[[Draw, int | None], list[Any]]] = {
    **dict.fromkeys(("dim", "dims", "source", "destination"), _axes),
    **dict.fromkeys(("size", "shape"), _sizes),
    **dict.fromkeys(("split_size", "split_sizes"), _parts),
    "output_size": _output_sizes,
    "normalized_shape": _last_sizes,
    "repeats": _repeats,
}
"""Lists of numbers that depend on the tensor in the middle; the number of them, where the schema names one."""

ELEMENTS: dict[str, tuple[Any, ...]] = {
    "sizes": (2, -1),
    "s": (4, 6, 7),
    "indices": (1, 3),
    "dilation": (1, 1, 2),
    "padding": (0, 1, 1, 2),
    "pad": (-1, 0, 1, 2),
    "output_padding": (0, 0, 1),
    "scale_factors": (0.6, 1.5, 2.0),
}
"""The numbers that other lists are made of, where those are not from 1 to 3."""

NUMBERS: dict[str, Callable[[Draw], Any]] = {
    **dict.fromkeys(
        ("dim", "dim0", "dim1", "axis0", "axis1", "start_dim", "end_dim", "source", "destination", "dimension"),
        Draw.axis,
    ),
    "N": lambda draw: prod(draw.shape[:1]),
    "C": lambda draw: prod(draw.shape[1:2]),
    "HxW": lambda draw: prod(draw.shape[2:]),
    "steps": lambda draw: draw.image_size[1],
    "last_dim_size": lambda draw: max(2 * draw.shape[-1] - draw.among(1, 2), 1),
}
"""Single numbers that depend on the tensor in the middle."""

SCALES = ("scales", "scales_d", "scales_h", "scales_w")
"""Factors beside the size that they give."""

CHOICES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("group", "groups", "num_groups"), (1, 2, 4)),
    **dict.fromkeys(("start", "end", "index", "length"), (*range(-3, 6),)),
    **dict.fromkeys(("upscale_factor", "downscale_factor", "split_size", "num_classes"), (2,)),
    **dict.fromkeys(("eps", "epsilon"), (1e-5, 0.1)),
    **dict.fromkeys(("momentum", "exponential_average_factor"), (0.1,)),
    **dict.fromkeys(SCALES, (0.6, 1.5, 2.0)),
    **dict.fromkeys(("dropout", "dropout_p"), (0.0,)),
    **dict.fromkeys(("interpolation_mode", "padding_mode", "normalization"), (0, 1, 2)),
    **dict.fromkeys(("scale", "input_scale"), (0.5, 1, 2)),
    "num_layers": (1,),
    "high": (3,),
}
"""The numbers among which others are drawn."""

WORDS: dict[str, tuple[str, ...]] = {
    "approximate": ("none", "tanh"),
    "indexing": ("ij", "xy"),
    "mode": ("constant", "reflect", "replicate", "circular"),
    "norm": ("forward", "backward", "ortho"),
    "padding": ("same", "valid"),
    "reduce": ("sum", "prod", "mean", "amax", "amin", "add", "multiply"),
    "rounding_mode": ("floor", "trunc"),
    "equation": ("nchw,cd->ndhw", "nchw,nchw->nhw", "nkc,ncv->nkv", "nchw,nchw->nchw"),
}

SWITCHED_OFF = frozenset(
    (
        *("training", "train", "copy", "non_blocking", "requires_grad", "sparse", "sparse_grad", "cudnn_enable"),
        *("bidirectional", "has_biases"),
    )
)
"""Switches that stay off, where that is tried: nothing is asked of training."""

LEFT_OUT = frozenset(("Optional[Device]", "Optional[Generator]", "Device"))
PACKED = "batch_sizes"
"""The argument of what takes packed sequences, which no image gives."""
NAMED_NONE = frozenset(("layout", "memory_format", "pin_memory", "path", "compute_mode", "generator"))
"""What has no influence on values."""


def kernels(draw: Draw) -> list[Shape]:
    """Shapes of weights: of filters of every kind, of matrices, of one number per channel."""
    channels = draw.shape[1] if draw.rank > 1 else 1
    last = draw.shape[-1] if draw.shape else 1
    window = tuple(draw.each(max(draw.rank - 2, 0), (1, 2, 3)) if draw.rank > 2 else ())
    filters = [(6, channels, *window), (6, max(channels // 2, 1), *window), (channels, 1, *window)]
    turned = [(channels, 6, *window), (channels, 2, *window)]
    others = [(channels,), (last,), (5, last), (1,), (1, channels, 1, 1), draw.shape[1:], draw.shape[2:], (6, 5)]
    return [*filters, *filters, *turned, *others, (last, 3), (*draw.shape[:-2], last, 3), (4, 3)]


READ_UNCHECKED = frozenset(("running_mean", "training", "HxW"))
"""Arguments of operators that read one number per channel, and past the end where there are fewer."""


def _weights(draw: Draw) -> Any:
    if READ_UNCHECKED & {*draw.types}:
        return _per_channel(draw)
    return Constant(real_numbers(draw.random, draw.among(*kernels(draw))))


def _per_channel(draw: Draw) -> Any:
    if READ_UNCHECKED & {*draw.types}:
        return Constant(real_numbers(draw.random, (draw.shape[1] if draw.rank > 1 else prod(draw.shape),)))
    sizes = (*draw.shape[1:2], *draw.shape[-1:], 6, 5, 2)
    return Constant(real_numbers(draw.random, draw.among(*((size,) for size in sizes), draw.shape[1:])))


def _mask(draw: Draw) -> Any:
    shape = draw.among(draw.shape, draw.shape[-2:], (1,))
    constant = Constant(whole_numbers(draw.random, shape, 2).bool())
    return draw.among(constant, draw.main.then(aten.gt.Scalar, 0.5))


def _attention_mask(draw: Draw) -> Any:
    shape = (*draw.shape[-2:-1], *draw.shape[-2:-1])
    return Constant(draw.among(real_numbers(draw.random, shape), whole_numbers(draw.random, shape, 2).bool()))


def _indices(draw: Draw) -> Any:
    # Indices of places in a small axis, and those that a pool gives.
    pooled = IMAGE.then(aten.max_pool2d_with_indices.default, [2, 2])
    places = pooled.then(python_operator.getitem, 1)
    constant = Constant(whole_numbers(draw.random, draw.among((2,), draw.shape, (*draw.shape[:1], 2)), 3))
    return draw.among(constant, draw.main.then(aten.argsort.default, draw.axis()), places)


def _index_list(draw: Draw) -> list[Any]:
    first: list[Any] = [None] * draw.random.randint(0, max(draw.rank - 1, 0))
    pair = [Constant(whole_numbers(draw.random, (2,), 2)) for _ in range(draw.among(1, 1, 2))]
    return [*first, *draw.among(pair, [draw.main.then(aten.gt.Scalar, 0.5)])]


def _source(draw: Draw) -> Any:
    return draw.among(
        draw.main.then(aten.mul.Scalar, 2.0),
        draw.main.then(aten.narrow.default, draw.axis(), draw.among(0, 1), draw.among(1, 2, 3)),
        draw.main.then(aten.select.int, draw.axis(), 1),
        Constant(real_numbers(draw.random, ())),
    )


def _grid(draw: Draw) -> Any:
    shape = draw.among((1, 5, 6, 2), (1, 2, 5, 6, 3))
    own = IMAGE.then(aten.narrow.default, 1, 0, 2).then(aten.permute.default, [0, 2, 3, 1])
    return draw.among(Constant(real_numbers(draw.random, shape, -1.1, 1.1)), own)


def _theta(draw: Draw) -> Any:
    own = IMAGE.then(aten.narrow.default, 1, 0, 2).then(aten.narrow.default, 3, 0, 3).then(aten.select.int, 2, 0)
    return draw.among(own, Constant(real_numbers(draw.random, draw.among((1, 2, 3), (1, 3, 4)))))


def _recurrent(draw: Draw) -> tuple[int, int]:
    """The number of gates and of inputs. What holds two states has four gates, which torch does not check."""
    gates = 4 if draw.types["hx"] == "List[Tensor]" else draw.among(1, 3)
    return gates, draw.shape[-1] if draw.shape else 1


def _input_matrix(draw: Draw) -> Constant:
    gates, inputs = _recurrent(draw)
    return Constant(real_numbers(draw.random, (3 * gates, inputs), 0.1, 0.3))


def _state_matrix(draw: Draw) -> Constant:
    return Constant(real_numbers(draw.random, (3 * _recurrent(draw)[0], 3), 0.1, 0.3))


def _boundaries(_draw: Draw) -> Constant:
    return Constant(torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64))


def _parameters(draw: Draw) -> list[Any]:
    gates, inputs = _recurrent(draw)
    shapes: list[Shape] = [(3 * gates, inputs), (3 * gates, 3)]
    return [Constant(real_numbers(draw.random, shape, 0.1, 0.3)) for shape in shapes]


def _state(draw: Draw) -> Constant:
    # torch checks neither how many states there are nor how many axes a sequence has.
    if "params" not in draw.types:
        return Constant(torch.zeros((*draw.shape[:1], 3), dtype=torch.float64))
    if draw.rank != 3:
        raise Redraw
    return Constant(torch.zeros((1, draw.shape[draw.batch_axis], 3), dtype=torch.float64))


def _left_factor(draw: Draw) -> Any:
    """A matrix with as many rows as the tensor in the middle."""
    return draw.among(Constant(real_numbers(draw.random, (*draw.shape[:-1], 3))), partners(draw))


def _right_factor(draw: Draw) -> Any:
    """A matrix with as many columns as the tensor in the middle, or as many rows as that has columns."""
    rows, columns = draw.among((3, draw.shape[-1]), (draw.shape[-1], 3))
    return draw.among(Constant(real_numbers(draw.random, (*draw.shape[:-2], rows, columns))), partners(draw))


TENSORS: dict[str, Callable[[Draw], Any]] = {
    "weight": _weights,
    **dict.fromkeys(("bias", "running_mean", "running_var"), _per_channel),
    **dict.fromkeys(("b_ih", "b_hh"), lambda draw: Constant(real_numbers(draw.random, (3 * _recurrent(draw)[0],)))),
    **dict.fromkeys(("mask", "condition"), _mask),
    "attn_mask": _attention_mask,
    **dict.fromkeys(("index", "indices"), _indices),
    **dict.fromkeys(("source", "src", "values"), _source),
    **dict.fromkeys(("mat1", "batch1"), _left_factor),
    **dict.fromkeys(("mat2", "batch2"), _right_factor),
    "grid": _grid,
    "theta": _theta,
    "w_ih": _input_matrix,
    "w_hh": _state_matrix,
    "hx": _state,
    "boundaries": _boundaries,
}
"""Single tensors beside the one in the middle of a call."""

OF_FEW_SHAPES = frozenset(("theta",))
"""Tensors that no form of an image fits, also where they are the only ones of a call."""

TENSOR_LISTS: dict[str, Callable[[Draw], list[Any]]] = {
    "hx": lambda draw: [_state(draw) for _ in range(2)],
    "params": _parameters,
    "indices": _index_list,
}


def partners(draw: Draw) -> Any:
    """A second operand: the same numbers, those of other places, a constant map, one number per channel, one number."""
    turned = Made(((aten.flip.default, ([2, 3],)), (aten.mul.Scalar, (0.9,)), *draw.main.steps))
    shape = draw.among(draw.shape, draw.shape[-2:], (*draw.shape[1:2], 1, 1), (), (1,), *kernels(draw))
    swapped = draw.main.then(aten.transpose.int, -1, -2) if draw.rank > 1 else draw.main
    return draw.among(
        turned, draw.main, swapped, draw.main.then(aten.mul.Scalar, 0.7), Constant(real_numbers(draw.random, shape))
    )
