"""Every exception that featmap raises on purpose, and where its warnings point.

A message says what is wrong, where, what was got and what is allowed; then, after a blank line, what to do.
`QuestionError` means that the question was wrong (exit code 2), `WorkError` that the work failed (exit code 1).

    FeatmapError
    ├── QuestionError                 the question was wrong
    │   ├── SettingError              a number or option that no operator can have
    │   │   └── KernelTooLarge        a kernel that spans more than the padded input
    │   ├── NoSolution                no setting gives the wanted size
    │   ├── AddressError
    │   │   ├── AddressSyntaxError    the text is not a valid address
    │   │   ├── NoSuchLayer           with the nearest names that exist
    │   │   ├── AmbiguousAddress      several calls, values or classes share the name
    │   │   ├── NoSuchStage           with the reason and what to ask for instead
    │   │   ├── NoSuchChannel
    │   │   ├── UnitOutOfRange
    │   │   └── NoSuchTarget          a name of neither a class nor a layer, with the nearest of both
    │   ├── ModelError
    │   │   ├── NoSuchModel           with the nearest names that exist
    │   │   ├── CaptureRefused        with the line that cannot be captured
    │   │   ├── WeightsMismatch       with every mismatch
    │   │   ├── ClassesMismatch       names of classes that do not fit the network
    │   │   ├── UnsafeFile            reading it would execute what it holds
    │   │   └── MissingPackage        an optional package that the question needs
    │   ├── InputError                an input shape that the network cannot take
    │   │   └── ImagesNeeded          a question that only images answer, asked without any
    │   ├── NoGradient                a signal to project from a value that the model gives no gradient of
    │   ├── ImageError
    │   │   ├── ImageMissing
    │   │   ├── ImageBroken
    │   │   └── ImageTooLarge         a decompression bomb
    │   ├── OutputError               a file that cannot be written as asked
    │   └── IndexQuestionError
    │       ├── NoIndex               nothing, or something else, at that path
    │       ├── OtherIndex            the index there is of another network, preprocessing or setting
    │       └── NotKept               a layer, or as many examples, that the index does not hold
    │           └── NoSuchImage       a name that no image of the index has
    └── WorkError                     the work failed
        ├── TooLittleMemory
        ├── IndexBusy                 somebody else is building it
        └── IndexBroken               an index on the disk that cannot be read or written
"""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Iterable


class FeatmapError(Exception):
    """Base of all. `problem` says what is wrong, `remedy` what to do; the text of the error is both."""

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}\n\n{remedy}" if remedy else problem)


class FeatmapWarning(UserWarning):
    """What a user should know beside an answer; on the command line a note."""


class QuestionError(FeatmapError, ValueError):
    """The question was wrong; nothing was computed."""

    exit_code = 2


class WorkError(FeatmapError, RuntimeError):
    """The question was valid, but the work failed."""


class SettingError(QuestionError):
    """A number or option that no operator can have."""


class KernelTooLarge(SettingError):
    """A kernel that spans more rows or columns than the padded input has."""


class NoSolution(QuestionError):
    """No padding and stride give the wanted output size."""


class AddressError(QuestionError):
    """An address that names nothing in this network."""


class AddressSyntaxError(AddressError):
    """A text that is not a valid address."""


class NoSuchLayer(AddressError):
    """A layer that the network does not have."""


class AmbiguousAddress(AddressError):
    """A name that several calls, values or classes share."""


class NoSuchStage(AddressError):
    """A stage that this layer does not have."""


class NoSuchChannel(AddressError):
    """A channel outside the layer."""


class UnitOutOfRange(AddressError):
    """A row or column outside the feature map."""


class NoSuchTarget(AddressError):
    """A name that is neither that of a class nor that of a layer."""


class ModelError(QuestionError):
    """A model that cannot be used as asked."""


class NoSuchModel(ModelError):
    """A model name or file that does not exist."""


class CaptureRefused(ModelError):
    """A model whose forward cannot be written as one graph."""


class WeightsMismatch(ModelError):
    """Weights of another network."""


class ClassesMismatch(ModelError):
    """Names of classes that do not fit the network, or cannot be read."""


class UnsafeFile(ModelError):
    """A file that could only be read by executing what it holds."""


class MissingPackage(ModelError):
    """An optional package that this question needs."""


class InputError(QuestionError):
    """An input that the network cannot take."""


class ImagesNeeded(InputError):
    """A question that only images can answer, asked without any."""


class NoGradient(QuestionError):
    """A signal to project back to the image from a value that the model gives no gradient of."""


class ImageError(QuestionError):
    """An image that cannot be used."""


class ImageMissing(ImageError):
    """No file at that path."""


class ImageBroken(ImageError):
    """A file that cannot be read as an image."""


class ImageTooLarge(ImageError):
    """An image with so many pixels that it may be a decompression bomb."""


class OutputError(QuestionError):
    """A file that cannot be written as asked."""


class IndexQuestionError(QuestionError):
    """An index that cannot answer as asked."""


class NoIndex(IndexQuestionError):
    """No index at that path: nothing, or something else, is there."""


class OtherIndex(IndexQuestionError):
    """The index at that path is of another network, preprocessing or setting."""


class NotKept(IndexQuestionError):
    """A layer, or as many examples, that the index does not hold."""


class NoSuchImage(NotKept):
    """A name that no image of the index has; `nearest` says which it may mean."""

    def __init__(self, problem: str, remedy: str = "", nearest: str = "") -> None:
        self.nearest = nearest
        super().__init__(problem, f"{nearest} {remedy}".strip())


class TooLittleMemory(WorkError):
    """The result would not fit into memory."""


class IndexBusy(WorkError):
    """Somebody else is building the index."""


class IndexBroken(WorkError):
    """An index on the disk that cannot be read or written."""


def nearest(name: str, names: Iterable[str], count: int = 3, what: str = "names") -> str:
    """A phrase with the names most like `name`, for the end of an error's remedy.

    >>> nearest("features.2l", ["features.21", "classifier.0"])
    'The nearest names are features.21.'
    >>> nearest("qqqq", ["features.21"])
    ''
    """
    close = difflib.get_close_matches(name, list(dict.fromkeys(names)), n=count, cutoff=0.4)
    return f"The nearest {what} are {', '.join(close)}." if close else ""


def warn_caller(text: str, kind: type[Warning]) -> None:
    """Warns at the line of the user's code that called featmap, however deep featmap is by then."""
    frame = inspect.currentframe()
    depth, level = 0, 1
    while frame is not None:
        depth += 1
        level = depth if frame.f_globals.get("__name__", "").startswith("featmap.") else level
        frame = frame.f_back
    warnings.warn(text, kind, stacklevel=level + 1)
