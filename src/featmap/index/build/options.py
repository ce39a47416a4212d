"""Keywords of a build: what is kept, how images are taken, and how the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from featmap.index.build.engines import EngineOptions
from featmap.index.schema.described import Described
from featmap.index.schema.wish import WishOptions

if TYPE_CHECKING:
    import torch


class ImageOptions(TypedDict, total=False):
    """What happens where images cannot be read."""

    strict: Annotated[bool, Described("Stop at an image that cannot be read.")]
    retry: Annotated[bool, Described("Try again images that could not be read before.")]


class IndexOptions(WishOptions, ImageOptions, EngineOptions, total=False):
    """All keywords of a build."""

    device: str | torch.device | None
