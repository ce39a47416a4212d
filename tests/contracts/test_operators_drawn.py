"""Every entry of the table passes one contract, with calls that are drawn from its schema.

An entry needs no case here: its calls are drawn by `support/operators/calls.py`, and all checks of
`support/operators/contract.py` hold of each.
"""

from __future__ import annotations

import pytest

from featmap.graph.operators.table import TABLE
from support.operators.calls import overloads
from support.operators.contract import hold_contract

ON_GRAPHICS_CARDS = "torch has it on graphics cards alone"
OF_PACKED = "takes packed sequences, which no image gives"
OF_ONE_NUMBER = "takes tensors without axes, which no form of an image is"
OF_SCRIPTS = "has arguments of compiled scripts"
OF_SOME_NUMBERS = "takes numbers of a range alone, and the images of a draw are brighter and darker than any"
OF_NUMBERS = "numbers decide on its shape, so that no graph is exported"
NOT_DRAWN = {
    "aten.addmm.dtype": ON_GRAPHICS_CARDS,
    "aten.baddbmm.dtype": ON_GRAPHICS_CARDS,
    "aten.bmm.dtype": ON_GRAPHICS_CARDS,
    "aten.mm.dtype": ON_GRAPHICS_CARDS,
    "aten.cudnn_batch_norm.default": ON_GRAPHICS_CARDS,
    "aten.gru.data": OF_PACKED,
    "aten.lstm.data": OF_PACKED,
    "aten.rnn_tanh.data": OF_PACKED,
    "aten.rnn_relu.data": OF_PACKED,
    "aten.linspace.Tensor_Tensor": OF_ONE_NUMBER,
    "aten.linspace.Tensor_Scalar": OF_ONE_NUMBER,
    "aten.linspace.Scalar_Tensor": OF_ONE_NUMBER,
    "aten.narrow.Tensor": OF_ONE_NUMBER,
    "aten.randint_like.Tensor_generator": OF_ONE_NUMBER,
    "aten.copy.Dict_Tensor": OF_SCRIPTS,
    "aten.einsum.sublist": OF_SCRIPTS,
    "aten.tensor.default": OF_SCRIPTS,
    "aten.bernoulli.default": OF_SOME_NUMBERS,
    "aten.poisson.default": OF_SOME_NUMBERS,
    "aten.one_hot.default": OF_SOME_NUMBERS,
    "aten.where.default": OF_NUMBERS,
    "aten.tensor_split.tensor_indices_or_sections": OF_NUMBERS,
    "aten.repeat_interleave.Tensor": OF_NUMBERS,
    "aten.repeat_interleave.self_Tensor": OF_NUMBERS,
}
"""Overloads that cannot be called from their schema alone, and why."""

NO_VALUES = {
    "_batch_norm_with_update": "writes over its statistics",
    "detach_": "is in place",
    "_assert_tensor_metadata": "returns nothing",
}
"""Entries without an overload that makes a tensor and writes over none, and what they do instead."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TABLE)
def test_an_operator_keeps_the_contract(name: str) -> None:
    held = hold_contract(name)
    assert bool(held) == (name not in NO_VALUES)
    assert {target for target, count in held.items() if not count} == {*NOT_DRAWN} & {*held}, (
        "calls that torch takes were not found (name the arguments in arguments.py), or were where none are said to be"
    )


def test_what_is_left_out_is_of_the_table() -> None:
    known = {str(target) for name in TABLE for target in overloads(name)}
    assert {*NOT_DRAWN} <= known
    assert {*NO_VALUES} <= {*TABLE}
