"""The bytes of images where they lie: files, and what is stored in files, found again by their paths."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from featmap.errors import FeatmapError, ImageBroken, ImageMissing
from featmap.images.containers.table import container_of
from featmap.images.entry import Stored
from featmap.images.formats import REMEDY, check_bytes


def bytes_of(content: str | Path | Stored) -> bytes:
    """The bytes of a file, or of an image stored in one. Raises: ImageMissing, ImageBroken, ImageTooLarge."""
    with _refusing(str(content)):
        return _of_file(Path(content)) if isinstance(content, str | Path) else content.read()


def bytes_at(path: str) -> bytes:
    """The bytes at the path that an index keeps of an image: a file, or `FILE.tar!MEMBER`.

    Raises: ImageMissing, ImageBroken.
    """
    holder, mark, name = path.partition("!")
    container = container_of(holder) if mark and not Path(path).exists() and Path(holder).is_file() else None
    if container is None or container.member is None:
        return bytes_of(path)
    with _refusing(path):
        return container.member(Path(holder), name)


def _of_file(path: Path) -> bytes:
    if not path.is_file():
        problem = f"'{path}' is a folder, not an image." if path.is_dir() else f"There is no image '{path}'."
        raise ImageMissing(problem, REMEDY)
    check_bytes(path.stat().st_size, str(path))
    return path.read_bytes()


@contextmanager
def _refusing(name: str) -> Generator[None]:
    """Turns what goes wrong with reading into an error with the image's name."""
    try:
        yield
    except FeatmapError:
        raise
    except FileNotFoundError as error:
        raise ImageMissing(f"There is no image '{name}'.", REMEDY) from error
    except Exception as error:
        # Every compression format has its own errors for damage.
        raise ImageBroken(f"'{name}' cannot be read: {error}.", "Copy or download the picture again.") from error
