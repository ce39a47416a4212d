"""The table of the files that name or hold images, by their suffixes."""

from __future__ import annotations

from pathlib import Path

from featmap.images.containers.list_files import LIST_FILES
from featmap.images.containers.tar_files import TAR_FILES
from featmap.images.entry import Container

CONTAINERS = [LIST_FILES, TAR_FILES]


def container_of(path: str | Path) -> Container | None:
    """What a file of this name is, if it names or holds images."""
    name = Path(path).name.lower()
    return next((one for one in CONTAINERS if name.endswith(one.suffixes)), None)
