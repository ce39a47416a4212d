"""One worker in a process of its own, here or elsewhere, and what is sent to it and back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from featmap.images.entry import Entry, Stored, Unreadable
from featmap.images.reading import read_image
from featmap.index.build.measure import Block, Measurer
from featmap.index.build.read_ahead import reading_ahead
from featmap.index.schema.description import Description
from featmap.network.network import CapturedNetwork
from featmap.network.shipped import ShippedNetwork
from featmap.statistics.array_types import Floats
from featmap.threads import side_by_side


@dataclass(frozen=True)
class Task:
    """What all workers do. `folder` is where the driver runs: relative paths mean the same to the workers."""

    description: Description
    device: torch.device
    strict: bool
    threads: int
    folder: str


class Worker:
    """Measures the parts that it is given, one at a time; the network is prepared once."""

    def __init__(self, shipped: ShippedNetwork, task: Task) -> None:
        self.shipped = shipped
        self.task = task
        self.measurer: Measurer | None = None

    def begin(self) -> int:
        """Prepares the network; returns the process id.

        Separate from the constructor, so that an error comes back as itself, and not as the worker's death.
        """
        with suppress(OSError):
            os.chdir(self.task.folder)
        torch.set_num_threads(self.task.threads)
        self.measurer = Measurer(self.shipped.network(), self.task.description, self.task.device)
        return os.getpid()

    def block(self, entries: Sequence[Entry], tried: int, floors: Sequence[Floats]) -> Block:
        """The block of a part, before which `tried` images were read. Raises: ImageBroken: where it is strict."""
        measurer = self.measurer
        assert measurer is not None
        task = self.task
        reading = reading_ahead(measurer.network, measurer.batch, strict=task.strict, workers=task.threads)
        with _collected() as warned, side_by_side(measurer.program.device) as measurer.runner, reading as reader:
            block = _without_pictures(measurer.block(entries, tried, reader.read, floors))
        return replace(block, warned=tuple(warned))


@contextmanager
def _collected() -> Generator[dict[tuple[type[Warning], str], None]]:
    """featmap's own warnings, each once, for the driver to repeat: nobody sees them here. Others are given as usual."""
    found: dict[tuple[type[Warning], str], None] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    for one in caught:
        if one.category.__module__.startswith("featmap."):
            found[one.category, str(one.message)] = None
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _without_pictures(block: Block) -> Block:
    """The block without the pixels of images in memory, which the driver has."""
    images = (replace(image, entry=replace(image.entry, content=None)) for image in block.images)
    return replace(block, images=tuple(images))


def portable(network: CapturedNetwork, entry: Entry) -> Entry:
    """The entry in a form that another process can unpickle."""
    content: Any = entry.content
    if isinstance(content, str | Path | Stored | Unreadable | bytes | np.ndarray):
        return entry
    if isinstance(content, Tensor):
        # A copy: a part of a large tensor would pickle the whole one.
        return replace(entry, content=content.detach().cpu().clone())
    if isinstance(content, Image.Image):
        with suppress(OSError):
            # A picture that is not loaded from its file cannot be pickled.
            content.load()
            return entry
    # It may be anything, also something that does not pickle; the reason why it is not an image is found here.
    problem = read_image(network, entry).problem
    return replace(entry, content=Unreadable(problem)) if problem else entry
