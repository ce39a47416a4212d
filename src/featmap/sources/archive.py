"""The reader of `.pt2` files, torch's archives of exported programs, which executes nothing that they hold.

The archive keeps its graph as JSON and its tensors as bytes. It is checked for anything else before torch opens it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.fx import Node as FxNode

from featmap.capture.capture import quiet
from featmap.capture.functional import is_pass_through
from featmap.errors import ModelError, NoSuchModel
from featmap.graph.graph import SizeRead
from featmap.graph.operators.moving.cutting import Concatenate, Cut, Select
from featmap.graph.operators.moving.reshape import Expand
from featmap.graph.operators.table import operator_of_target
from featmap.graph.schema import is_operator, plain_name
from featmap.sources.archive_check import check_archive
from featmap.sources.file_kinds import check_kind


def read_archive(path: Path, *, trust: bool = False) -> ExportedProgram:
    """The exported program in a file. Raises: NoSuchModel, UnsafeFile, ModelError."""
    if not path.is_file():
        raise NoSuchModel(f"There is no file '{path}'.", "Give the path of a file made by torch.export.save.")
    check_kind(path)
    if not trust:
        check_archive(path)
    try:
        with quiet():
            program = torch.export.load(path)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ModelError(f"'{path}' is not a program that torch.export saved: {reason}.", "Export it again.") from error
    _check_evaluates(program, path)
    return program


def _check_evaluates(program: ExportedProgram, path: Path) -> None:
    position = {"dropout": 2, "feature_dropout": 2, "batch_norm": 5}
    for node in program.graph.nodes:
        name = plain_name(node.target) if is_operator(node.target) else ""
        if name in position and node.args[position[name]]:
            raise ModelError(
                f"'{path}' was exported in training mode: its {name} ('{node.name}') is that of training.",
                "Export it again after model.eval().",
            )


def possible_size_reads(program: ExportedProgram, path: Path) -> tuple[SizeRead, ...]:
    """The operators whose numbers the model's code may have computed from the size at which it was exported.

    An archive does not say where numbers came from; one with dynamic sizes holds none that depend on them.
    """
    if program.range_constraints:
        return ()
    suspects = [node.name for node in program.graph.nodes if _may_hold_a_size(node)]
    return tuple(SizeRead(f"{path.name}, {name}", 0) for name in suspects)


def _may_hold_a_size(node: FxNode) -> bool:
    if not is_operator(node.target) or is_pass_through(node):
        return False
    operator = operator_of_target(node.target)
    if operator.kind in ("pad", "resize", "constant", "unknown") or isinstance(operator, Cut | Expand | Select):
        return True
    takes_numbers = operator.kind in ("pointwise", "merge") and not isinstance(operator, Concatenate)
    return takes_numbers and any(isinstance(value, int | float) for value in node.args)
