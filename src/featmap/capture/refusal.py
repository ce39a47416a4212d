"""Errors that explain why a model could not be captured, in words that its author can use.

torch's own errors name its internals. These name the innermost line of the model's own code and the module whose
forward holds it, and for a kernel larger than its input they show the arithmetic.
"""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import nn

from featmap.errors import CaptureRefused, FeatmapError, InputError, KernelTooLarge
from featmap.geometry.setting import COLUMNS, ROWS, misfit

TORCH = torch.__path__[0] + os.sep
_BRANCHES = ("GuardOnDataDependent", "DynamicControlFlow", "UserError", "DataDependentOutput", "TensorToScalar")
_BRANCH_TEXTS = ("data-dependent", "data dependent", "torch.cond", ".item()", "meta tensor items")
_SHAPE_TEXTS = (
    "Kernel size can't be greater",
    "shapes cannot be multiplied",
    "must be equal to",
    "reduction dim",
    "Output size is too small",
    "must match the size",
    "to have",
    "Expected",
    "size mismatch",
    "should be",
    "Padding size",
    "invalid for input of size",
)


@dataclass(frozen=True)
class Line:
    """A line of the model's code."""

    file: str
    line: int

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        return f"{Path(self.file).name}:{self.line}" + (f": {text}" if text else "")


def explain_failure(error: Exception, module: nn.Module, inputs: list[Any]) -> FeatmapError:
    """The error that tells the model's author what went wrong."""
    frames = _frames(error)
    place = _own_line(frames)
    path = _module_path(frames, module)
    line = "" if place is None else f"\n  {place}"
    where = f"'{path}'" if path else f"the forward of {type(module).__name__}"
    if _is_branch(error):
        return CaptureRefused(
            f"{where} branches on values of a tensor, so it is not a single graph.{line}",
            "Decide it without looking at values (torch.where, masks), or trace the parts separately.",
        )
    for told in _told(error, where, line, module):
        return told
    shapes = ", ".join(" x ".join(map(str, value.shape)) for value in inputs if isinstance(value, torch.Tensor))
    first = str(error).strip().split("\n")[0]
    if isinstance(error, RuntimeError | ValueError | AssertionError | IndexError) and _is_about_shapes(str(error)):
        return _kernel_error(frames, path) or InputError(
            f"{where} cannot take its input; the network was given {shapes or 'no tensor'}: {first}{line}",
            "Give the shape of one image that the network was made for: channels, rows, columns (--input CxHxW).",
        )
    return CaptureRefused(
        f"{where} cannot be captured as a graph: {_first(error)}{line}",
        _STOPPED_AT if line else _STOPPED_INSIDE,
    )


_STOPPED_AT = (
    "featmap reads a model through torch.export; the line above is where that stopped. Let it do the same with tensors "
    "and torch's operators, or trace the part of the model before it."
)
_STOPPED_INSIDE = (
    "featmap reads a model through torch.export, which stopped inside torch. Run the module on the same inputs first: "
    "module(*inputs). Where that fails too, give what it takes: inputs is a tuple of its arguments, (image, other)."
)


def _told(error: Exception, where: str, line: str, module: nn.Module) -> Iterator[FeatmapError]:
    """Errors for certain kinds of torch's errors, in the terms of the model's author."""
    text = " ".join(str(part) for part in _chain(error))
    unknown = re.search(r"<class '([^']+)'> in (?:the )?output|outputs? with type <class '([^']+)'>", text)
    if unknown:
        kind = (unknown[1] or unknown[2]).rpartition(".")[2]
        yield CaptureRefused(
            f"{where} returns a {kind}, in which torch does not look for tensors.",
            f"Register a dataclass before: torch.export.register_dataclass({kind}); other types with "
            "torch.utils._pytree.register_pytree_node; or return a tuple or a dictionary.",
        )
    missing = re.search(
        r"missing \d+ required (?:positional|keyword-only) arguments?: ((?:'\w+'(?:, and | and |, )?)+)", text
    )
    if missing:
        yield InputError(
            f"{where} takes more inputs than it was given: {missing[1]}.{line}",
            "Give an example of each: inputs=(image, other), kwargs={'name': other}.",
        )
    if 'missing the required "forward" function' in text:
        yield CaptureRefused(f"{where} has no forward.", "Capture the module that uses it.")
    if isinstance(getattr(module, "backbone", None), nn.Module):
        yield CaptureRefused(
            f"{where} is a pipeline around a network, which cannot be captured as one graph: {_first(error)}{line}",
            "Capture its network alone: featmap.trace(model.backbone, (3, 224, 224)).",
        )
    if ".numpy() is not supported" in text:
        yield CaptureRefused(
            f"{where} leaves torch for numpy, which no graph can hold.{line}", "Compute with tensors instead."
        )


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: " + str(error).strip().split("\n")[0].removesuffix(", but expected one of:")


def _is_branch(error: BaseException) -> bool:
    names = {type(part).__name__ for part in _chain(error)}
    if any(name.startswith(prefix) for name in names for prefix in _BRANCHES):
        return True
    return any(text in str(part) for part in _chain(error) for text in _BRANCH_TEXTS)


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _is_about_shapes(text: str) -> bool:
    return any(part in text for part in _SHAPE_TEXTS)


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    """Frame and line of every call from the capture down to the innermost of the chained errors."""
    found: list[tuple[FrameType, int]] = []
    for part in reversed(_chain(error)):
        trace: TracebackType | None = part.__traceback__
        while trace is not None:
            found.append((trace.tb_frame, trace.tb_lineno))
            trace = trace.tb_next
        if _own_line(found) is not None:
            break
    return found


def _own_line(frames: list[tuple[FrameType, int]]) -> Line | None:
    """The innermost line outside torch and featmap."""
    ours = str(Path(__file__).parent.parent)
    for frame, line in reversed(frames):
        file = frame.f_code.co_filename
        if not file.startswith((TORCH, ours)) and _belongs_to_module(frame):
            return Line(file, line)
    return None


def _belongs_to_module(frame: FrameType) -> bool:
    outer: FrameType | None = frame
    while outer is not None:
        if isinstance(outer.f_locals.get("self"), nn.Module):
            return True
        outer = outer.f_back
    return False


def _module_path(frames: list[tuple[FrameType, int]], module: nn.Module) -> str:
    """The path of the innermost module that was running."""
    paths = {id(part): path for path, part in module.named_modules()}
    for frame, _ in reversed(frames):
        path = paths.get(id(frame.f_locals.get("self")))
        if path is not None:
            return path
    return ""


def _kernel_error(frames: list[tuple[FrameType, int]], path: str) -> FeatmapError | None:
    """The error for a window that does not fit: the message of `featmap conv`, with the layer's address."""
    for frame, _ in reversed(frames):
        part, value = frame.f_locals.get("self"), frame.f_locals.get("input")
        if isinstance(part, nn.Module) and hasattr(part, "kernel_size") and isinstance(value, torch.Tensor):
            return _window_error(part, value, path)
    return None


def _window_error(part: nn.Module, value: torch.Tensor, path: str) -> FeatmapError | None:
    padding = {"valid": 0, "same": None}.get(str(part.padding), part.padding)
    kernel, dilation = _pair(part.kernel_size), _pair(getattr(part, "dilation", 1))
    if padding is None or value.ndim < 3 or len(kernel) != 2 or getattr(part, "transposed", False):
        return None
    where = f"'{path}'" if path else type(part).__name__
    for axis, words in enumerate((ROWS, COLUMNS)):
        around = _pair(padding)[axis]
        for problem, remedy in misfit(kernel[axis], dilation[axis], value.shape[axis - 2], (around, around), words):
            return KernelTooLarge(f"{where}: {problem}", remedy)
    return None


def _pair(setting: Any) -> tuple[int, ...]:
    return tuple(setting) if isinstance(setting, tuple | list) else (setting, setting)
