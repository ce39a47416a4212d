"""The safety check of an archive from an unknown source, made on its bytes before torch opens it.

torch's archives can carry code in four places: pickles, sizes (which sympy evaluates), names of operators (which are
looked up as attributes) and names of enumerations (which are imported). Every member must be a known one, and pickles
may only name the parts of tensors. None of it depends on what a version of torch refuses by itself.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from featmap.errors import ModelError, UnsafeFile
from featmap.sources.pickle_check import beyond_tensors
from featmap.sources.zip_check import ambiguity

_GRAPH = re.compile(r"models/[^/]+\.json|serialized_exported_program\.json")
_JSON = re.compile(rf"{_GRAPH.pattern}|data/(weights|constants)/[^/]+_config\.json")
_PICKLED = re.compile(
    r"data/(sample_inputs|weights|constants)/[^/]+\.pt|serialized_(state_dict|constants|example_inputs)\.(pt|json)"
)
_BYTES = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|archive_format|archive_version|byteorder|version|\.data/[^/]+"
    r"|\.format_version|\.storage_alignment|extra/.*"
)
_WORDS = (
    r"[su]\d+|Symbol|Integer|Rational|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|PowByNatural|Max|Min"
    "|Eq|Ne|oo|int_oo|positive|nonnegative|integer|True|False"
)
_SAFE_SYMBOL = re.compile(rf"(?:[\s\d+\-*/(),.<>=&|]|'[su]\d+'|\b(?:{_WORDS})\b)*")
_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)(\.\w+)?|_operator\.\w+|math\.\w+|torch\.(_?sym_\w+)")
_REMEDY = "Pass --trust (trust=True) if you know where the file comes from."


def check_archive(path: Path) -> None:
    """Raises UnsafeFile if the archive holds something that reading would execute, ModelError if it is no archive."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            found = ambiguity(archive, file)
            if found:
                raise UnsafeFile(f"'{path}': {found}.", _REMEDY)
            _check_members(archive, path)
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"'{path}' is not a program that torch.export saved.", "Export it again.") from error


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    members = {_inner(info.filename).lower(): info for info in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise UnsafeFile(f"'{path}': it holds two members of the same name.", _REMEDY)
    if not any(_GRAPH.fullmatch(name) for name in members):
        raise ModelError(f"'{path}' is not a program that torch.export saved: it holds no graph.", "Export it again.")
    for name, info in members.items():
        if _PICKLED.fullmatch(name):
            _check_pickled(archive.read(info), name, path)
        elif _JSON.fullmatch(name):
            _check_json(json.loads(archive.read(info)), path)
        elif not info.is_dir() and not _BYTES.fullmatch(name):
            raise UnsafeFile(f"'{path}' holds '{name}', which may be code.", _REMEDY)


def _inner(name: str) -> str:
    """A member's name without the folder that holds all of a new archive's members."""
    first, _, rest = name.partition("/")
    return rest if rest and first not in ("data", "models", "extra", ".data") else name


def _check_pickled(content: bytes, name: str, path: Path) -> None:
    what = "example inputs" if "inputs" in name else "weights" if "weights" in name or "state" in name else "constants"
    if content and not _holds_only_tensors(content):
        raise UnsafeFile(f"'{path}': its {what} would have to be unpickled.", _REMEDY)


def _holds_only_tensors(content: bytes) -> bool:
    try:
        return beyond_tensors(io.BytesIO(content)) is None
    except ValueError:
        return False


def _check_json(value: Any, path: Path) -> None:
    if isinstance(value, dict):
        _check_entries(value, path)
        for part in value.values():
            _check_json(part, path)
    elif isinstance(value, list):
        for part in value:
            _check_json(part, path)
    elif isinstance(value, str) and "__enum__" in value:
        raise UnsafeFile(f"'{path}' names an enumeration, whose module would be imported.", _REMEDY)


def _check_entries(value: dict[str, Any], path: Path) -> None:
    if value.get("use_pickle"):
        raise UnsafeFile(f"'{path}' holds pickled tensors ({value.get('path_name')}).", _REMEDY)
    if str(value.get("path_name", "")).startswith(("custom_obj_", "opaque_obj_")):
        raise UnsafeFile(f"'{path}' holds a pickled object ({value['path_name']}).", _REMEDY)
    expression = value.get("expr_str")
    if isinstance(expression, str) and not _SAFE_SYMBOL.fullmatch(expression):
        raise UnsafeFile(f"'{path}' holds a size that is not plain arithmetic: {expression[:80]}.", _REMEDY)
    nodes = value.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        target = node.get("target") if isinstance(node, dict) else None
        if not _is_operator_name(str(target)):
            problem = f"'{path}' is not a program that torch.export saved: {str(target)[:80]} is not an operator."
            raise ModelError(problem, "Export it again.")


def _is_operator_name(target: str) -> bool:
    found = _OPERATOR.fullmatch(target)
    # An attribute of the object that holds the operators (load_library) is not an operator.
    return found is not None and (found[1] not in dir(type(torch.ops)) and found[2] not in dir(type(torch.ops.aten)))
