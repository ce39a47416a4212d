"""Trained weights on disk: a safetensors file and a JSON record beside it, written whole or not at all.

The record holds the digest of the weights, so an interrupt between the two renamings leaves a pair that disagrees,
which reads as nothing kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from featmap.errors import OutputError
from featmap.view.output import write_files

WEIGHTS_NAME = "network.safetensors"
RECORD_NAME = "network.json"


@dataclass(frozen=True)
class Record:
    """What was measured and how: enough to use the weights, and to know whether they match the settings."""

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    accuracy: float
    chance: float
    test_crops: int
    training_s: float
    settings_digest: str


def keep(weights: dict[str, Tensor], record: Record, folder: Path) -> None:
    """Write the weights and their record into `folder`, which is made if needed.

    Raises: OutputError: the folder cannot be made or written.
    """
    content = save({name: tensor.contiguous() for name, tensor in weights.items()})
    text = json.dumps(asdict(record) | {"weights_digest": _digest(content)}, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{folder}' cannot be made: {error.strerror}.", "Choose another folder."
        ) from error
    write_files({folder / WEIGHTS_NAME: content, folder / RECORD_NAME: text.encode()})


def read_kept(folder: Path, settings_digest: str) -> tuple[dict[str, Tensor], Record] | None:
    """The weights kept in `folder`, if they are whole and were made with these settings; otherwise None."""
    try:
        entries = json.loads((folder / RECORD_NAME).read_bytes())
        content = (folder / WEIGHTS_NAME).read_bytes()
        if entries.pop("weights_digest") != _digest(content) or entries["settings_digest"] != settings_digest:
            return None
        tuples = {name: tuple(value) for name, value in entries.items() if isinstance(value, list)}
        return load(content), Record(**entries | tuples)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
