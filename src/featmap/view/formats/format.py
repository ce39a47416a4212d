"""The base of all output formats, and the contents that can be written.

The files of formats are imported with the command line, so heavy packages are imported where a file is encoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, ClassVar


class Content(Enum):
    """What is written of an answer, each with the type that a format is given."""

    PICTURE = "a page as a PIL picture; every page is a file of its own"
    TENSORS = "whole maps by address, as tensors in their own types"
    ARRAYS = "numbers by name, as NumPy arrays or tensors"
    DATA = "plain data: numbers, texts, lists and dictionaries"
    ROWS = "the rows of a table, each a dictionary by heading"
    TEXT = "the text that a terminal shows"
    KERNEL = "a sliding kernel: featmap.view.kernel.scene.Scene"
    REPORT = "a page of HTML"


class Format(ABC):
    """A form of file: its suffix, what it can hold, and how that becomes bytes."""

    suffix: ClassVar[str]
    """With its dot, in small letters."""
    contents: ClassVar[tuple[Content, ...]]
    """What it can hold; an answer that has several of these writes the one that it names first."""
    needs: ClassVar[str] = ""
    """The package that writing needs, where featmap does not bring it."""

    @abstractmethod
    def encode(self, content: Any) -> bytes:
        """The whole file."""
