"""How is a `.pt2` file, torch's own archive of an exported program, read without executing what it holds?

The archive keeps its graph as JSON and its tensors as bytes. What else it could hold is looked for before torch opens
the file.
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
        raise ModelError(f"'{path}' is no program that torch.export saved: {reason}.", "Export it again.") from error
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
    """The operators whose numbers the model's code may have computed from the size it was exported at.

    An archive does not tell where numbers came from; one with open sizes holds none that depend on them.
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
