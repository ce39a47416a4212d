"""The table of output formats: by suffix the one that writes, and what can be written where."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from featmap.errors import MissingPackage, OutputError, SettingError
from featmap.view.formats.arrays import Npz, Safetensors
from featmap.view.formats.format import Content, Format
from featmap.view.formats.kernel import Gif, Svg
from featmap.view.formats.pictures import Png
from featmap.view.formats.texts import Csv, Html, Json, PlainText

FORMATS: dict[str, Format] = {
    form.suffix: form for form in (Png(), Npz(), Safetensors(), Json(), Csv(), PlainText(), Svg(), Gif(), Html())
}
"""In the order in which errors and helps list them."""


def register(form: Format) -> None:
    """Puts a format into the table; every answer that has what it holds can be saved in it from then on.

    Raises: SettingError: it is not a format, or its suffix is not one or is that of a format of featmap's own.
    """
    if not isinstance(form, Format):  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = f"The format to register is {form!r}."
        raise SettingError(problem, "Give an instance of a class of featmap.view.formats.format.Format.")
    if Path(f"file{form.suffix}").suffix != form.suffix.lower():
        problem = f"The suffix of the format is {form.suffix!r}."
        raise SettingError(problem, "Give one with its dot, in small letters: '.webp'.")
    if (known := FORMATS.get(form.suffix)) is not None and type(known).__module__.startswith("featmap."):
        raise SettingError(f"'{form.suffix}' is a format of featmap's own.", "Give yours another suffix.")
    FORMATS[form.suffix] = form


def suffixes(contents: Collection[Content]) -> list[str]:
    """The suffixes that one of these contents can be written as."""
    return [suffix for suffix, form in FORMATS.items() if any(content in contents for content in form.contents)]


def alternatives(words: list[str]) -> str:
    """Words as a choice.

    >>> alternatives([".png", ".json", ".txt"]), alternatives([".html"])
    ('.png, .json or .txt', '.html')
    """
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def format_for(path: Path, contents: Collection[Content], what: str) -> Format:
    """The format of a file that is to hold one of these contents; `what` says in an error what cannot be written.

    Raises: OutputError: none of them has that suffix, or the folder does not exist. MissingPackage.
    """
    allowed = suffixes(contents)
    if path.suffix.lower() not in allowed:
        ending = f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        remedy = f"Use '{path.with_suffix(allowed[0])}'."
        raise OutputError(f"'{path}' {ending}; {what} written as {alternatives(allowed)}.", remedy)
    if not path.parent.is_dir():
        problem = f"'{path}': there is no folder '{path.parent}'."
        raise OutputError(problem, "Create the folder, or choose another path.")
    form = FORMATS[path.suffix.lower()]
    if form.needs and find_spec(form.needs) is None:
        problem = f"'{path}' needs {form.needs}, which cannot be imported."
        others = [other for other in allowed if other != form.suffix]
        raise MissingPackage(problem, f"Install it: pip install {form.needs}; or write {alternatives(others)}.")
    return form
