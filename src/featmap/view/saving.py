"""Files of results: what a type of result can be written as, and the writing.

Which formats there are the table of formats says; which contents a result has follows from what is registered for its
type: pictures, arrays, rows. Data and text every result has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from featmap.result import Result, pictures_of, save_result
from featmap.result_table import TableResult
from featmap.view.formats.format import Content, Format
from featmap.view.formats.table import format_for
from featmap.view.output import save_named, write_files

Check = Callable[..., None]
"""Raises where a result cannot be written to a path with such options; checked before the work."""


@dataclass(frozen=True)
class Saving:
    """How a type of result is saved: its words in an error, the check of its options, and which contents it has where
    that does not follow from its type."""

    words: str = "this is"
    check: Check | None = None
    contents: tuple[Content, ...] = ()


_SAVING: dict[type, Saving] = {}


def saves(*kinds: type[Result], words: str, check: Check | None = None, contents: tuple[Content, ...] = ()) -> None:
    """Says how some types of results are saved."""
    _SAVING.update(dict.fromkeys(kinds, Saving(words, check, contents)))


@singledispatch
def arrays_of(result: Any) -> Mapping[str, Tensor | NDArray[Any]]:
    """The numbers of a result by name, for files of arrays; registered for the types that have them."""
    raise NotImplementedError(type(result).__name__)


def told_apart(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that were there before: two images may have one name.

    >>> told_apart(["cat.png", "dog.png", "cat.png"])
    ['cat.png', 'dog.png', 'cat.png~2']
    """
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    return found


@singledispatch
def named_pages(result: Result, **options: Any) -> Mapping[str, Sequence[Image.Image]]:
    """The pages of a result by the name that goes into their files' names, where there is more than one."""
    return {"": pictures_of(result, **options)}


def contents_of(kind: type[Result]) -> tuple[Content, ...]:
    """What a type of result can be written as, in the order in which a format chooses.

    >>> from featmap.methods.plan import Plan
    >>> [content.name for content in contents_of(Plan)]
    ['DATA', 'ROWS', 'TEXT']
    """
    if own := _saving(kind).contents:
        return own
    has = {
        Content.PICTURE: pictures_of.dispatch(kind) is not pictures_of.dispatch(object),
        Content.ARRAYS: arrays_of.dispatch(kind) is not arrays_of.dispatch(object),
        Content.DATA: True,
        Content.ROWS: issubclass(kind, TableResult),
        Content.TEXT: True,
    }
    return tuple(content for content, is_there in has.items() if is_there)


def check_output(path: str | Path, kind: type[Result], *, only: Sequence[Content] = (), **options: Any) -> Format:
    """The format in which a result of that type is written to that path; asked before the work.

    Raises: OutputError: none has that suffix, or the folder does not exist. MissingPackage. SettingError: an option.
    TypeError: an option, where there are no pictures.
    """
    saving, contents = _saving(kind), contents_of(kind)
    if options and Content.PICTURE not in contents:
        raise TypeError(f"save() of a {kind.__name__} got an unexpected keyword argument '{next(iter(options))}'")
    form = format_for(Path(path), only or contents, saving.words)
    if saving.check is not None:
        saving.check(path, form, **options)
    return form


def _saving(kind: type[Result]) -> Saving:
    return next((_SAVING[base] for base in kind.__mro__ if base in _SAVING), Saving())


_VALUES: dict[Content, Callable[[Any], Any]] = {
    Content.TENSORS: arrays_of,
    Content.ARRAYS: arrays_of,
    Content.DATA: lambda result: result.to_dict(),
    Content.ROWS: lambda result: result.rows(),
    Content.TEXT: str,
}


@save_result.register(Result)
def _(result: Result, path: Path, **options: Any) -> list[Path]:
    form = check_output(path, type(result), **options)
    contents = contents_of(type(result))
    content = next(content for content in form.contents if content in contents)
    if content is Content.PICTURE:
        return save_named(named_pages(result, **options), path)
    return write_files({path: form.encode(_VALUES[content](result))})
