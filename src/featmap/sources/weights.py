"""Weights loaded from a file into a module, without executing anything that the file holds."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featmap.errors import ModelError, NoSuchModel, UnsafeFile, WeightsMismatch
from featmap.sources.file_kinds import check_kind
from featmap.sources.pickle_check import beyond_tensors
from featmap.sources.weight_names import unwrapped

# What reading raises for files that are damaged or of another kind.
_BROKEN = (AttributeError, EOFError, ImportError, KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile)

_SAFE = "Save it as .safetensors or as a plain state dict, or pass --trust if you know where it comes from."

_LISTED = 10
"""The most tensors that are listed among those that do not fit."""

_USUAL_KEYS = ("state_dict", "model", "model_state_dict")
"""Under which a checkpoint holds its weights, whatever other tables it has."""


def load_weights(module: nn.Module, path: Path, *, trust: bool = False) -> None:
    """Loads the weights of a `.safetensors` or state-dict file into the module.

    Prefixes that wrappers add to all names (DataParallel, torch.compile) are removed, with a warning.
    Raises: WeightsMismatch: names or shapes differ; the first are listed, and the module is left as it was.
    UnsafeFile: the file holds more than tensors and would have to be unpickled.
    """
    state = unwrapped(read_weights(path, trust=trust), module.state_dict().keys(), path)
    _check(module, state, path)
    module.load_state_dict(state)


def read_weights(path: Path, *, trust: bool = False) -> dict[str, Tensor]:
    """The tensors in a file, by name."""
    if not path.is_file():
        raise NoSuchModel(f"There is no weights file '{path}'.", "Give the path of a .safetensors, .pt or .pth file.")
    check_kind(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    return _tensors(_read_plain(path, trust=trust), path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        # Its own wording of the reason changes between versions.
        raise ModelError(f"'{path}' is not a readable safetensors file.", "Save the weights again.") from error


def _read_plain(path: Path, *, trust: bool) -> Any:
    if not trust:
        _check_tensors_only(path)
    try:
        with warnings.catch_warnings():
            # torch warns about the file's pickle protocol, which nobody can act on.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        if trust:
            raise _unreadable(path, f"{type(error).__name__} while reading it") from error
        raise UnsafeFile(f"'{path}' holds more than tensors: torch does not read it without trust.", _SAFE) from error
    except _BROKEN as error:
        raise _unreadable(path, f"{type(error).__name__} while reading it") from error


def _check_tensors_only(path: Path) -> None:
    """featmap's own check, before torch opens the file and makes its own."""
    try:
        with path.open("rb") as file:
            found = beyond_tensors(file)
    except ValueError as error:
        raise _unreadable(path, "it is neither an archive nor a pickle of torch.save, or it is damaged") from error
    if found:
        raise UnsafeFile(f"'{path}' holds more than tensors: {found}.", _SAFE)


def _unreadable(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"'{path}' is not a readable weights file ({reason}).", "Save the weights again with torch.save or safetensors."
    )


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict itself, or the one in a checkpoint: under a usual key, or under the only key that has one.

    Raises: ModelError: there is none, or there are several.
    """
    table = _table(content)
    if table is not None:
        return table
    entries: dict[Any, Any] = content if isinstance(content, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    tables = {key: found for key, value in entries.items() if (found := _table(value))}
    if len(tables) == 1:
        return next(iter(tables.values()))
    if tables:
        raise ModelError(
            f"'{path}' holds {len(tables)} tables of named tensors, under the keys {', '.join(map(repr, tables))}.",
            "Save the one that is meant by itself, or under the key 'state_dict'.",
        )
    kinds = [f"{key!r} ({type(value).__name__})" for key, value in entries.items()]
    more = f" and {len(kinds) - _LISTED} more" if len(kinds) > _LISTED else ""
    keys = f"there is none under its keys {', '.join(kinds[:_LISTED])}{more}"
    reason = keys if kinds else f"it holds a {type(content).__name__}"
    raise ModelError(f"'{path}' holds no table of named tensors: {reason}.", "Save the module's state_dict().")


def _table(content: Any) -> dict[str, Tensor] | None:
    """The named tensors of a state dict, of a module, or of a checkpoint with a usual key."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, dict):
        return None
    if all(isinstance(value, Tensor) for value in content.values()):  # pyright: ignore[reportUnknownVariableType]
        return {str(name): value for name, value in content.items()}  # pyright: ignore[reportUnknownVariableType]
    found = (_table(content[key]) for key in _USUAL_KEYS if isinstance(content.get(key), dict | nn.Module))  # pyright: ignore[reportUnknownVariableType]
    return next((table for table in found if table), None)


def _check(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    own = module.state_dict()
    for name in own:
        # Files written before torch counted batches lack that counter, which is not used in evaluation.
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, own[name])
    problems = [f"missing in the file: {name} {_shape(own[name])}" for name in own if name not in state]
    problems += [f"not in the network: {name} {_shape(state[name])}" for name in state if name not in own]
    problems += [
        f"{name}: the network has {_shape(own[name])}, the file {_shape(state[name])}"
        for name in own
        if name in state and own[name].shape != state[name].shape
    ]
    if problems:
        more = [f"... and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
        lines = "\n".join(f"  {line}" for line in [*problems[:_LISTED], *more])
        raise WeightsMismatch(
            f"'{path}' holds the weights of another network; {len(problems)} of its tensors do not fit:\n{lines}",
            "Give the weights of this network, or the network of these weights.",
        )


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"
