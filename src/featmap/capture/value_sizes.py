"""The refusal of values whose size depends on other values, with the line of the model that makes them.

`x[x > 0]` has as many elements as `x` has positive values. Such a value has no shape before the image is known, so
neither it nor what is computed from it has a geometry. torch exports it nonetheless, with a symbol for the size.
"""

from __future__ import annotations

import re

import torch
from torch.export import ExportedProgram
from torch.fx import Node as FxNode
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from featmap.capture.refusal import TORCH, Line
from featmap.errors import CaptureRefused


def check_sizes(program: ExportedProgram) -> None:
    """Raises CaptureRefused for the first value whose size is only known once an image is given."""
    for node in program.graph.nodes:
        if _depends_on_values(node):
            raise CaptureRefused(
                f"{where_of(node)} makes a value whose size depends on values of a tensor, so it has no shape before "
                f"an image is known.{_line(node)}",
                "Keep the size and write over what is not wanted (torch.where, a product with a mask), or trace the "
                "parts before that line.",
            )


def _depends_on_values(node: FxNode) -> bool:
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else (value,)
    sizes = [size for part in values if isinstance(part, torch.Tensor) for size in part.shape]
    return any(isinstance(size, torch.SymInt) and bool(free_unbacked_symbols(size)) for size in sizes)


def where_of(node: FxNode) -> str:
    """The innermost module that an operator was called in, worded for an error."""
    calls = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = calls[-1] if calls else ("", "the model")
    name = (kind if isinstance(kind, str) else kind.__qualname__).rpartition(".")[2]
    return f"'{path}'" if path else f"the forward of {name}"


def _line(node: FxNode) -> str:
    """The innermost line outside torch among those that torch recorded, if any."""
    noted = re.findall(r'File "(.+?)", line (\d+), in', node.meta.get("stack_trace") or "")
    own = [Line(file, int(number)) for file, number in noted if not file.startswith(TORCH)]
    return f"\n  {own[-1]}" if own else ""
