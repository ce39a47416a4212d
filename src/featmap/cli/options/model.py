"""Options that name a network, shared by every command with a MODEL, and the notes of a network."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from featmap.cli.options.common import print_message
from featmap.errors import FeatmapWarning, SettingError

if TYPE_CHECKING:
    import torch

    from featmap.api import Network

Model = Annotated[
    str, Argument(metavar="MODEL", help="[bold]torchvision:NAME[/bold], timm:NAME, package.module:callable, file.pt2")
]
Device = Annotated[str | None, Option(metavar="DEVICE", help="Where to compute: cpu, cuda, cuda:1, mps.")]


@dataclass(frozen=True)
class ModelOptions:
    """How the network that MODEL names is made."""

    weights: Annotated[
        str | None,
        Option(metavar="FILE|NAME", help="A .safetensors or state-dict file, or the zoo's own weights (DEFAULT)."),
    ] = None
    input: Annotated[
        str | None,
        Option(metavar="CxHxW", help="Input channels, rows and columns; 1x8000 for a signal, 1x24x48x40 for a volume."),
    ] = None
    fit: Annotated[
        str | None,
        Option(
            metavar="FIT",
            help="How pictures fit the input: [bold]stretch[/bold], [bold]crop[/bold], [bold]pad[/bold], pad:114, "
            "pad:R,G,B.",
            show_default="as the network's record says",
        ),
    ] = None
    classes: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="Names of the classes: one a line, or JSON.",
            show_default="the zoo's own, where it has them",
        ),
    ] = None
    trust: Annotated[bool, Option("--trust", help="Allow files whose reading executes code that they bring.")] = False

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The input shape. Raises: SettingError."""
        return shape(self.input)

    def load(self, model: str) -> Network:
        """The network of that name, importable from the working directory too."""
        import featmap

        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        kind, fill = (None, 0) if self.fit is None else fit_of(self.fit)
        return featmap.load(
            model,
            weights=self.weights,
            input_shape=self.shape,
            fit=kind,
            fill=fill,
            classes=self.classes,
            trust=self.trust,
        )


def fit_of(text: str) -> tuple[str, int | tuple[int, ...]]:
    """How pictures fit, and the colour of the padding.

    >>> fit_of("crop"), fit_of("pad:114"), fit_of("pad:124,116,104")
    (('crop', 0), ('pad', 114), ('pad', (124, 116, 104)))
    """
    found = re.fullmatch(r"(stretch|crop|pad)(?:(?<=pad):(\d{1,3}(?:,\d{1,3})*))?", text.strip().lower())
    colours = tuple(int(colour) for colour in (found[2] or "0").split(",")) if found else ()
    if not found or max(colours) > 255:
        problem = f"--fit '{text}' is not a way to fit a picture."
        raise SettingError(
            problem, "Write stretch, crop, pad, or pad with a colour of bytes: pad:114, pad:124,116,104."
        )
    return found[1], colours[0] if len(colours) == 1 else colours


def shape(text: str | None) -> tuple[int, ...] | None:
    """Channels, rows and columns; of a signal channels and positions, of a volume also planes.

    >>> shape("3x224x320"), shape("1x8000")
    ((3, 224, 320), (1, 8000))
    """
    if text is None:
        return None
    parts = re.split("[x×]", text.strip().lower())
    if len(parts) > _MOST_AXES or not all(re.fullmatch(r"\d+", part) and int(part) for part in parts):
        raise SettingError(
            f"--input '{text}' is not an input shape.",
            "Write channels x rows x columns, for example --input 3x224x224; channels x positions for a signal.",
        )
    return tuple(map(int, parts))


_MOST_AXES = 4


def found_device(name: str | None) -> torch.device | None:
    """The device of that name. Raises: SettingError: it does not compute, or this machine does not have it."""
    if name is None:
        return None
    import torch

    if not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d+)?", name):
        raise SettingError(
            f"--device '{name}' is not a device.", "Name cpu, cuda, cuda:1, mps or xpu, or leave it out."
        )
    try:
        found = torch.device(name)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        problem = f"--device '{name}' cannot be used on this machine: {reason}."
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
    return issubclass(entry.category, FeatmapWarning)
