"""What are the weights of an interpolation or adaptive average along each axis? The operator run on unit vectors.

So they are torch's own numbers, whatever its arithmetic for scales and corners.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featmap.graph.graph import Node
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.sized_graph import SizedGraph


def axis_matrices(sized: SizedGraph, node: Node) -> tuple[Tensor, Tensor]:
    """One float64 matrix (output, input) per axis whose product is the operator."""
    source = next(index for index in node.inputs if sized.graph[index].depends_on_input)
    height, width = sized.size(source)
    out_height, out_width = sized.size(node.index)
    rows = _run(node, torch.eye(height, dtype=torch.float64)[:, None, :, None].expand(height, 1, height, width))
    columns = _run(node, torch.eye(width, dtype=torch.float64)[:, None, None, :].expand(width, 1, height, width))
    if rows.shape[2:] != (out_height, out_width):
        raise NotResizable(node.operator)
    return rows[:, 0, :, 0].T.contiguous(), columns[:, 0, 0, :].T.contiguous()


def _run(node: Node, maps: Tensor) -> Tensor:
    assert node.target is not None
    return node.target(maps.contiguous(), *node.args[1:], **node.kwargs)
