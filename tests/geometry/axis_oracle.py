"""Slow oracles for one axis: PyTorch's own operators, and loops over every index.

`support` feeds a rule's PyTorch operator one picture per input index, which is 1 there and 0 elsewhere. All weights are
positive, so an output that is not 0 reads that input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch.nn import functional

from featmap.geometry import (
    Adaptive,
    AxisRule,
    Cubic,
    Flip,
    Gather,
    IndexSet,
    Interval,
    Linear,
    Nearest,
    Outside,
    Pad,
    Perhaps,
    Pointwise,
    Repeat,
    Slice,
    TransposedWindow,
    Whole,
    Window,
)


def apply(rule: AxisRule, x: torch.Tensor) -> torch.Tensor:
    """The PyTorch operator of a rule on (image, 1, column); RuntimeError where PyTorch refuses."""
    match rule:
        case Pointwise():
            return 2 * x
        case Whole():
            return x.sum(dim=2, keepdim=True).expand(-1, -1, rule.output_size(x.shape[2]))
        case Window(ceil_mode=True):
            return functional.avg_pool1d(x, rule.kernel, rule.stride, rule.before, ceil_mode=True)
        case Window():
            weight = torch.ones(1, 1, rule.kernel, dtype=x.dtype)
            padded = functional.pad(x, (max(rule.before, 0), max(rule.after, 0)))
            padded = padded[:, :, max(-rule.before, 0) : padded.shape[2] - max(-rule.after, 0)]
            return functional.conv1d(padded, weight, stride=rule.stride, dilation=rule.dilation)
        case TransposedWindow():
            weight = torch.ones(1, 1, rule.kernel, dtype=x.dtype)
            return functional.conv_transpose1d(
                x, weight, None, rule.stride, rule.before, rule.output_padding, 1, rule.dilation
            )
        case Cubic():
            return interpolate(rule, x, "bicubic")
        case Linear():
            return interpolate(rule, x, "bilinear")
        case Nearest():
            return interpolate(rule, x, "nearest-exact" if rule.exact else "nearest")
        case Adaptive():
            return functional.adaptive_avg_pool1d(x, rule.outputs)
        case Pad():
            return functional.pad(x, (rule.before, rule.after), mode=rule.mode)
        case Slice():
            return x[:, :, rule.start : rule.stop : rule.step]
        case Outside():
            return x * torch.tensor([output not in rule.hole.kept(x.shape[2]) for output in range(x.shape[2])])
        case Perhaps():
            return apply(rule.rule, x)
        case Flip():
            return x.flip(2)
        case Repeat():
            return x.repeat_interleave(rule.factor, dim=2)
        case Gather():
            blocks = functional.pixel_unshuffle(x[:, :, None, :].expand(-1, -1, rule.factor, -1), rule.factor)
            return blocks.sum(dim=1, keepdim=True)[:, :, 0, :]
    raise AssertionError(rule)


def interpolate(rule: Linear | Nearest, x: torch.Tensor, mode: str) -> torch.Tensor:
    """The resize of the last axis alone."""
    align = rule.align_corners if isinstance(rule, Linear) else None
    size = None if rule.outputs is None else (1, rule.outputs)
    scale = None if rule.scale is None else (1.0, rule.scale)
    return functional.interpolate(x[:, :, None, :], size, scale, mode, align)[:, :, 0, :]


def support(rule: AxisRule, size: int, dtype: torch.dtype = torch.float64) -> list[set[int]]:
    """For each output the inputs that PyTorch really reads."""
    picture = apply(rule, torch.eye(size, dtype=dtype)[:, None, :])[:, 0, :]
    return [set(torch.nonzero(picture[:, output]).flatten().tolist()) for output in range(picture.shape[1])]


def read_by(rule: AxisRule, outputs: Sequence[int], size: int) -> set[int]:
    """The union of `sources`, uncut."""
    return {index for output in outputs for index in rule.sources(output, size)}


def hull(indices: set[int]) -> Interval:
    """The smallest interval that holds them."""
    return Interval(min(indices), max(indices) + 1) if indices else Interval(0, 0)


def inside(indices: set[int], size: int) -> set[int]:
    """The indices that lie in a map of `size`."""
    return {index for index in indices if 0 <= index < size}


def members(indices: IndexSet) -> set[int]:
    """As an ordinary set."""
    return set(indices)


small = st.integers(1, 5)
windows = st.builds(Window, small, small, st.integers(-2, 4), st.integers(-2, 4), st.integers(1, 3))
pools = st.integers(1, 5).flatmap(
    lambda kernel: st.integers(0, kernel // 2).flatmap(
        lambda pad: st.builds(Window, st.just(kernel), small, st.just(pad), st.just(pad), ceil_mode=st.just(True))
    )
)
transposed = st.tuples(small, small, st.integers(0, 4), st.integers(1, 4), st.integers(0, 3)).map(
    lambda t: TransposedWindow(t[0], t[1], t[2], t[2], t[3], min(t[4], max(t[1], t[3]) - 1))
)
scales = st.sampled_from([0.25, 0.3, 0.5, 0.75, 1.0, 1.05, 1.5, 1.9, 2.0, 2.05, 2.5, 3.0, 4.0, 7.0])
ratios = st.one_of(st.tuples(st.integers(1, 40), st.none()), st.tuples(st.none(), scales))
nearest = st.builds(lambda ratio, exact: Nearest(*ratio, exact), ratios, st.booleans())
linear = st.builds(lambda ratio, align: Linear(*ratio, align), ratios, st.booleans())
cubic = st.builds(lambda ratio, align: Cubic(*ratio, align), ratios, st.booleans())
pads = st.builds(
    Pad, st.integers(-3, 5), st.integers(-3, 5), st.sampled_from(["constant", "reflect", "replicate", "circular"])
)
ends = st.none() | st.integers(-6, 12)
slices = st.builds(Slice, ends, ends, st.integers(1, 4))
holes = st.builds(Outside, slices) | st.builds(Perhaps, transposed)
blocks = st.one_of(st.builds(Adaptive, st.integers(1, 12)), st.builds(Repeat, small), st.builds(Gather, small))
plain = st.one_of(st.just(Pointwise()), st.just(Flip()), st.builds(Whole, st.none() | small))
rules = st.one_of(windows, pools, transposed, nearest, linear, cubic, pads, slices, holes, blocks, plain)
