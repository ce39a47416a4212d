"""The base of all engines, and the work that one is given: images in parts, measured block by block.

An engine is a frozen dataclass: its fields are its options, keywords of `Index.build` and options of `featmap index
build`, each described (`Described`), None where it is not given. Its file is imported with the command line, so heavy
packages are imported where it runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch

    from featmap.images.entry import Entry
    from featmap.index.build.measure import Finish, Tick
    from featmap.index.schema.description import Description
    from featmap.network.network import CapturedNetwork
    from featmap.statistics.array_types import Floats


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be measured: the parts of the images, each of which becomes one block, in their order.

    `tried` images were read before the first part. `floors` gives per layer and map a value up to which nothing can
    enter the tail any more; it rises while blocks are written, and older floors only cost time. `tick` is called with
    the number of images done since the last call. `strict`: an image that cannot be read ends the build.
    """

    network: CapturedNetwork
    description: Description
    parts: Iterable[Sequence[Entry]]
    tried: int
    floors: Callable[[], Sequence[Floats]]
    tick: Tick | None = None
    device: torch.device | None = None
    strict: bool = False


class Engine(ABC):
    """Where and how the blocks of a build are measured."""

    name: ClassVar[str]
    """What `engine=` and `--engine` call it."""
    where: ClassVar[str] = ""
    """Where it measures, for the help of the command line: on a Ray cluster."""

    def check(self) -> None:  # noqa: B027 - most have nothing to check
        """Whether it can run with these options; asked before anything is written.

        Raises: SettingError, MissingPackage.
        """

    @abstractmethod
    def run(self, work: Work) -> Iterator[Finish]:
        """The blocks in the order of the parts; each is finished by the caller while the next ones are measured."""
