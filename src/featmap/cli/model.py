"""How does a command line name a network? The options that every command with a MODEL shares, and its notes."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from featmap.cli.common import print_message
from featmap.errors import SettingError

if TYPE_CHECKING:
    import torch

    from featmap.face import Network

Model = Annotated[
    str, Argument(metavar="MODEL", help="[bold]torchvision:NAME[/bold], timm:NAME, package.module:callable, file.pt2")
]
Image = Annotated[str, Argument(metavar="IMAGE", help="A picture: JPEG, PNG, TIFF ...")]
Weights = Annotated[
    str | None,
    Option(metavar="FILE|NAME", help="A .safetensors or state-dict file, or the zoo's own weights (DEFAULT)."),
]
Input = Annotated[str | None, Option(metavar="CxHxW", help="Input channels, rows and columns.")]
Trust = Annotated[bool, Option("--trust", help="Allow files whose reading executes code that they bring.")]
Device = Annotated[str | None, Option(metavar="DEVICE", help="Where to compute: cpu, cuda, cuda:1, mps.")]


def load_model(model: str, weights: str | None, input_shape: str | None, *, trust: bool) -> Network:
    """The network that the command line names, importable from the working directory too."""
    import featmap

    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return featmap.load(model, weights=weights, input_shape=shape(input_shape), trust=trust)


def shape(text: str | None) -> tuple[int, ...] | None:
    """Channels, rows and columns.

    >>> shape("3x224x320")
    (3, 224, 320)
    """
    if text is None:
        return None
    if not re.fullmatch(r"\d+x\d+x\d+", text.strip().lower()):
        raise SettingError(
            f"--input '{text}' is no input shape.", "Write channels x rows x columns, for example --input 3x224x224."
        )
    return tuple(int(part) for part in text.strip().lower().split("x"))


def found_device(name: str | None) -> torch.device | None:
    """The device of that name. Raises: SettingError: torch knows no such device, or this machine has none."""
    if name is None:
        return None
    import torch

    try:
        found = torch.device(name)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        problem = f"--device '{name}' cannot be used: {reason}"
        raise SettingError(problem, "Leave --device out, or name another.") from None
    return found


@contextmanager
def notes() -> Generator[None]:
    """Warnings that a user should read become one line each on standard error; others are kept quiet."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for text in dict.fromkeys(str(entry.message) for entry in caught if _is_ours(entry)):
                print_message(f"note: {text}")


def _is_ours(entry: warnings.WarningMessage) -> bool:
    return entry.category.__module__.startswith("featmap")
