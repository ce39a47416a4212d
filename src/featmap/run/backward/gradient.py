"""The gradient of a single operator: torch's own, on a patch or on whole maps."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from featmap.errors import ModelError
from featmap.graph.operators.table import operator_of, printed_name
from featmap.run.backward.whole_numbers import has_gradient, takes_signals
from featmap.run.program.program import Program
from featmap.run.program.steps import Step
from featmap.run.region.direct import computed
from featmap.run.region.untouched import Untouched


def gradient_at_places(
    program: Program, untouched: Untouched, step: Step, source: int, value: Tensor, signal: Any
) -> Tensor:
    """The signal times the gradient of an operator that computes every place from the same place of one value.

    `value` is a patch of the source, `signal` one of the result (a list where the operator returns several), in their
    own order of axes with one image per unit.
    """
    with _derivative_of(step):
        value = _as_real(value, program).contiguous().requires_grad_()
        made = computed(program, untouched, _differentiable(step), source, value)
        return _gradients(made, [value], signal)[0]


def gradient_of_whole(
    program: Program, step: Step, arguments: tuple[Any, Any], values: Mapping[int, Any], signal: Any
) -> dict[int, Tensor]:
    """The signal times the gradient of an operator for each value that it reads, all of them whole.

    `values` are what it reads, with as many images as `arguments` are made for.
    """
    given = {
        index: _as_real(value, program).contiguous().requires_grad_()
        if isinstance(value, Tensor) and takes_signals(program.captured, index)
        else value
        for index, value in values.items()
    }
    wanted = {index: value for index, value in given.items() if isinstance(value, Tensor) and value.requires_grad}
    with _derivative_of(step):
        made = program.call_step(_differentiable(step), *arguments, given)
        found = _gradients(made, list(wanted.values()), signal)
    return dict(zip(wanted, found, strict=True))


@contextmanager
def _derivative_of(step: Step) -> Generator[None]:
    """Gradients are recorded. Raises: ModelError: torch has none of the operator."""
    try:
        with torch.enable_grad():
            yield
    except (RuntimeError, NotImplementedError) as error:
        if not _is_of_derivatives(str(error)):
            raise
        raise ModelError(
            f"torch has no derivative of {printed_name(step.node)}, through which signals have to flow back.",
            "Ask for a place before it, or for an occlusion, which needs no derivatives.",
        ) from error


def _is_of_derivatives(text: str) -> bool:
    """Whether torch says that an operator has no derivative, or none of numbers of this type."""
    is_missing = "derivative for" in text and "not implemented" in text
    return is_missing or "not support automatic differentiation" in text


def _as_real(value: Tensor, program: Program) -> Tensor:
    """A value that autograd takes: whole numbers as real ones."""
    value = value.detach()
    return value if has_gradient(value.dtype) else value.to(program.signal_dtype)


def _differentiable(step: Step) -> Step:
    """The step as autograd can run it: it writes over nothing."""
    return replace(step, target=operator_of(step.node).function(step.node), overwrites=False)


def _gradients(made: Any, given: Sequence[Tensor], signal: Any) -> list[Tensor]:
    made, signal = (list(part) if isinstance(part, list | tuple) else [part] for part in (made, signal))
    pairs = [(m, s) for m, s in zip(made, signal, strict=True) if s is not None and m.requires_grad]
    if not pairs:
        return [torch.zeros_like(value) for value in given]
    outputs, signals = zip(*pairs, strict=True)
    # Laid out in the order of axes: torch 2.13 gives wrong gradients of normalisations for signals channels last.
    signals = [_in_order(s.to(m.dtype).expand(m.shape)) for m, s in zip(outputs, signals, strict=True)]
    return list(torch.autograd.grad(outputs, given, signals, allow_unused=True, materialize_grads=True))


def _in_order(value: Tensor) -> Tensor:
    """The value in the order of its axes, with strides that say so for axes of one element, too.

    torch takes a contiguous tensor with one channel for channels last where those strides are others.
    """
    return value.contiguous().view(-1).view(value.shape)
