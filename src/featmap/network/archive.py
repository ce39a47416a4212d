"""How is a `.pt2` file, torch's own archive of an exported program, read without executing what it holds?

The archive keeps its graph as JSON and its tensors as bytes. Three things in it can carry code: pickled tensors and
constants, the pickled example inputs, and symbolic sizes, which sympy evaluates. They are looked for before torch
opens the file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node as FxNode

from featmap.errors import ModelError, NoSuchModel, UnsafeFile
from featmap.network.capture import quiet
from featmap.network.file_kinds import check_kind
from featmap.network.functional import is_pass_through
from featmap.network.graph import SizeRead
from featmap.network.operators.cutting import Concatenate, Cut, Select
from featmap.network.operators.reshape import Expand
from featmap.network.operators.table import TABLE, UNKNOWN
from featmap.network.schema import is_operator, plain_name

_WORDS = (
    r"[su]\d+|Symbol|Integer|Rational|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|PowByNatural|Max|Min"
    "|Eq|Ne|oo|int_oo|positive|nonnegative|integer|True|False"
)
_SAFE_SYMBOL = re.compile(rf"(?:[\s\d+\-*/(),.<>=&|]|'[su]\d+'|\b(?:{_WORDS})\b)*")
_REMEDY = "Pass --trust (trust=True) if you know where the file comes from."


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
    operator = TABLE.get(plain_name(node.target).removesuffix("_"), UNKNOWN)
    if operator.kind in ("pad", "resize", "constant", "unknown") or isinstance(operator, Cut | Expand | Select):
        return True
    takes_numbers = operator.kind in ("pointwise", "merge") and not isinstance(operator, Concatenate)
    return takes_numbers and any(isinstance(value, int | float) for value in node.args)


def check_archive(path: Path) -> None:
    """Raises UnsafeFile where the archive holds something that reading would execute."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                _check_member(archive, name, path)
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"'{path}' is no program that torch.export saved.", "Export it again.") from error


def _check_member(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    if name.endswith(".json"):
        _check_json(json.loads(archive.read(name)), path)
    elif "sample_inputs" in name and archive.getinfo(name).file_size:
        _check_pickle(archive.read(name), path)


def _check_pickle(content: bytes, path: Path) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise UnsafeFile(f"'{path}': its example inputs would have to be unpickled.", _REMEDY) from error


def _check_json(value: Any, path: Path) -> None:
    if isinstance(value, dict):
        if value.get("use_pickle"):
            raise UnsafeFile(f"'{path}' holds pickled tensors ({value.get('path_name')}).", _REMEDY)
        expression = value.get("expr_str")
        if isinstance(expression, str) and not _SAFE_SYMBOL.fullmatch(expression):
            raise UnsafeFile(f"'{path}' holds a size that is no plain arithmetic: {expression[:80]}.", _REMEDY)
        for part in value.values():
            _check_json(part, path)
    elif isinstance(value, list):
        for part in value:
            _check_json(part, path)
