"""The base class of all results, which can be shown, saved and turned into plain data.

Methods compute; how a result looks is decided in `featmap.view`, which registers a drawing for each type of result.
"""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from PIL import Image

from featmap.errors import OutputError
from featmap.plain_data import PlainData, json_text, plain


@singledispatch
def pictures_of(result: Any, **options: Any) -> list[Image.Image]:
    """The pages that show a result; `featmap.view` registers one function per type."""
    raise OutputError(f"A {type(result).__name__} has no picture.", "Use .to_dict() for its numbers.")


@singledispatch
def save_result(result: Any, path: Path, **options: Any) -> list[Path]:
    """Writes a result to a file in the format of its suffix; `featmap.view.saving` does it for every type."""
    raise OutputError(f"A {type(result).__name__} cannot be saved.", "Use .to_dict() for its numbers.")


@singledispatch
def text_of(result: Any) -> str:
    """A result as text for a terminal; `featmap.view` registers one function per type that prints as a table."""
    return repr(result)


@singledispatch
def html_of(result: Any) -> str | None:
    """A result as HTML for a notebook, `None` where its picture says it; `featmap.view` registers what has a table."""
    return None


class PictureOptions(TypedDict, total=False):
    """How a result is drawn, as keywords; each type of result takes some of them, and refuses the others.

    `image`: the number of the only image to draw. `sort`, `scale`: order and colours of maps. `page_size`: maps per
    page. `colours`: what full colour stands for in an occlusion. `shown`: the input channels of a value.
    """

    image: int | None
    sort: Literal["index", "maximum", "mean", "positive"]
    scale: Literal["map", "shared"]
    page_size: int | None
    colours: Literal["score", "effect"]
    shown: int


class Result:
    """Base of all results."""

    def __str__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str | None:
        return html_of(self)

    def _data(self) -> dict[str, Any]:
        """What the result says of itself, by name; numbers may be infinite, and lists tuples."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, PlainData]:
        """The result as plain data: numbers, texts, lists and dictionaries; None for numbers that are not finite."""
        return plain(self._data())

    def to_json(self) -> str:
        """The same data as the text of a JSON document, as `--json` prints it."""
        return json_text(self._data())

    def show(self, **options: Unpack[PictureOptions]) -> Image.Image:
        """The result as a picture (its first page where there are several)."""
        return pictures_of(self, **options)[0]

    def pages(self, **options: Unpack[PictureOptions]) -> list[Image.Image]:
        """The result as pictures, one per page."""
        return pictures_of(self, **options)

    def save(self, path: str | Path, **options: Unpack[PictureOptions]) -> list[Path]:
        """Writes the result to a file; the suffix says in which form. Returns the files written.

        Raises: OutputError: a form that this result does not have, or a folder that does not exist.
        """
        return save_result(self, Path(path), **options)

    def _repr_png_(self) -> bytes | None:
        import io

        # Notebooks ask for both, and show the HTML where there is some.
        if html_of.dispatch(type(self)) is not html_of.dispatch(object):
            return None
        try:
            picture = self.show()
        except OutputError:
            return None
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        return buffer.getvalue()
