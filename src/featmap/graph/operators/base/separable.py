"""Linear operators that are one matrix along rows and one along columns: interpolations, means of blocks.

The matrices are found by running the operator on unit vectors, so they are torch's own numbers, whatever its arithmetic
for scales and corners.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from featmap.geometry import AxisRule
from featmap.graph.operators.base.call import Call, Operand
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.operators.base.regions import Kernel, Weights, WindowKernel
from featmap.graph.operators.base.sides import BORDER, Side


def separable(call: Call, operand: Operand, rows: AxisRule, columns: AxisRule) -> WindowKernel:
    """Boxes from the parts of the matrices that they need."""

    def kernel(_weights: Weights) -> Kernel:
        row_matrix, column_matrix = axis_matrices(call, operand)
        return partial(_mixed, row_matrix=row_matrix, column_matrix=column_matrix)

    return WindowKernel(rows, columns, kernel)


def axis_matrices(call: Call, operand: Operand) -> tuple[Tensor, Tensor]:
    """One float64 matrix (output, input) per axis whose product is the operator. Raises: NotResizable."""
    height, width = operand.shape[-2:]
    rows = _run(call, torch.eye(height, dtype=torch.float64)[:, None, :, None].expand(height, 1, height, width))
    columns = _run(call, torch.eye(width, dtype=torch.float64)[:, None, None, :].expand(width, 1, height, width))
    if rows.shape[2:] != call.out_shape[2:]:
        raise NotResizable(call.node.operator)
    return rows[:, 0, :, 0].T.contiguous(), columns[:, 0, 0, :].T.contiguous()


def _run(call: Call, maps: Tensor) -> Tensor:
    node = call.node
    assert node.target is not None
    return node.target(maps.contiguous(), *node.args[1:], **node.kwargs)


def _mixed(places: Tensor, rows: Side, columns: Side, *, row_matrix: Tensor, column_matrix: Tensor) -> Tensor:
    """A separable linear operator (interpolation, adaptive average) given by one matrix (output, input) per axis."""
    left = _slices(rows, row_matrix).repeat_interleave(len(columns.starts), 0)
    right = _slices(columns, column_matrix).repeat(len(rows.starts), 1, 1)
    return torch.einsum("bor,brwc,bpw->bcop", left.to(places), places, right.to(places))


def _slices(side: Side, matrix: Tensor) -> Tensor:
    """The part of a matrix that each box needs: (position, output, place); 0 for places outside the map."""
    sources = side.sources()
    outputs = side.starts[:, None] + np.arange(side.width)
    taken = matrix[torch.as_tensor(outputs)[:, :, None], torch.as_tensor(np.maximum(sources, 0))[:, None]]
    return taken * torch.as_tensor(sources != BORDER)[:, None]
