"""Checks of values: their numbers, their shapes, the memory that they lie in, the words that describe them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from featmap.graph.graph import Reference, TensorSpec, Weight, leaves, map_arguments
from featmap.graph.operators.base.call import named_arguments
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.sized_graph import DoesNotFit
from featmap.methods.plan import details_of
from featmap.network.randomness import is_random
from featmap.run.as_maps import as_maps
from featmap.run.batches import run_batches
from featmap.run.program.program import Program
from featmap.run.program.steps import may_share_memory
from support.details_reader import recomputed
from support.operators.agreement import agree, is_drawn
from support.operators.calls import reads_unchecked
from support.operators.case import OperatorCase


def check_value(case: OperatorCase) -> None:
    """A program gives what torch gives, for one image and for two; what is read stays as it is."""
    if is_drawn(case):
        return
    images = torch.cat([case.image, case.call.image(2)])
    expected = [case.value(image[None]) for image in images]
    found = Program(case.sized, case.weights, [case.target]).run(images[:1])[case.target]
    agree(found, expected[0], "the value", is_single=case.is_single)
    together = run_batches(case.network, images, [case.target])[case.target]
    maps = [as_maps(case.sized, case.target, value) for value in expected]
    agree(
        as_maps(case.sized, case.target, together),
        torch.cat(maps),
        "the values of two images",
        is_single=case.is_single,
    )


def check_shape(case: OperatorCase) -> None:
    """Rows, columns and images lie on axes of the value; at another size its shape is torch's, or it is asked anew."""
    rank, axes = len(case.sized.shape(case.target)), case.sized.axes[case.target]
    known = [axis for axis in axes.known if axis is not None]
    assert len(set(known)) == len(known)
    assert all(0 <= axis < rank for axis in known)
    if reads_unchecked(case.call):
        return
    rows, columns = case.call.size
    larger = (1, 4, rows + 4, columns + 3)
    image = case.call.image(0).repeat(1, 1, 2, 2)[..., : larger[2], : larger[3]]
    try:
        value = case.value(image)
    except (RuntimeError, IndexError):
        return
    try:
        there = case.sized.resized(larger)
    except (NotResizable, DoesNotFit):
        return
    spec = there.specs[case.target]
    assert spec == TensorSpec(tuple(value.shape), value.dtype)
    assert there.axes[case.target] == axes


def check_memory(case: OperatorCase) -> None:
    """It leaves what it reads as it is; in place it gives the same over its first argument; views are known as such."""
    operands = [index for index in case.node.inputs if isinstance(case.values(case.image)[index], Tensor)]
    values = case.values(case.image)
    before = {index: values[index].clone() for index in operands}
    torch.manual_seed(0)
    made = _run(case, case.operator.function(case.node), values)
    if not is_drawn(case):
        for one, other in zip(_tensors(made), _tensors(values[case.index]), strict=True):
            agree(one, other, "what its function makes", is_single=case.is_single)
    assert all(torch.equal(values[index], before[index]) for index in operands)
    shares = any(_shares(part, values[index]) for part in _tensors(made) for index in operands)
    assert not shares or may_share_memory(case.node)
    assert not (shares and case.operator.is_fresh)
    first = case.node.args[0] if case.node.args else None
    in_place = case.operator.in_place(case.graph, case.node)
    if in_place is None or not isinstance(first, Reference) or case.graph[first.index].spec != case.node.spec:
        return
    values[first.index] = values[first.index].clone()
    written = _run(case, in_place, values)
    agree(written, made, "what it makes in place", is_single=case.is_single)
    assert _shares(written, values[first.index])


def _run(case: OperatorCase, function: Any, values: list[Any]) -> Any:
    args, kwargs = case.arguments(values)
    return function(*args, **kwargs)


def _tensors(value: Any) -> list[Tensor]:
    return [part for part in (value if isinstance(value, list | tuple) else [value]) if isinstance(part, Tensor)]


def _shares(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def check_details(case: OperatorCase) -> None:
    """The operator's name, its details in words and its tensors are enough to compute its value."""
    if is_random(case.node):
        return
    values = case.values(case.image)

    def tensor(leaf: Reference | Weight) -> Any:
        return values[leaf.index] if isinstance(leaf, Reference) else case.weights[leaf.name]

    given = named_arguments(case.node)
    tensors = {name: map_arguments(value, tensor) for name, value in given.items() if any(True for _ in leaves(value))}
    text = details_of(case.sized, case.node).removeprefix("unknown operator, treated as reading the whole map")
    made = recomputed(case.node.target, text.removeprefix(", "), tensors)
    if not is_drawn(case):
        for one, other in zip(_tensors(made), _tensors(values[case.index]), strict=True):
            agree(one, other, f"what is made of '{text}'", is_single=case.is_single)
