"""The check for modules and inputs that cannot be captured, made before torch tries; errors say what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from featmap.errors import CaptureRefused, FeatmapError, InputError

_KINDS: dict[int, tuple[type[nn.Module], ...]] = {
    3: (nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d, nn.BatchNorm1d),
    4: (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm2d),
    5: (nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d, nn.AvgPool3d, nn.BatchNorm3d),
}
"""Layers by the rank of the batches that they accept."""


def check_capturable(module: nn.Module, inputs: list[Any]) -> None:
    """Refuses what torch.export cannot record, or would record as something else.

    Raises: CaptureRefused: a part is quantised, scripted or lazy. InputError: an input is not a tensor, or an image
    without a batch axis or with two.
    """
    for refusals in _CHECKS:
        for refusal in refusals(module, inputs):
            raise refusal


def _scripted(module: nn.Module, inputs: list[Any]) -> Iterator[FeatmapError]:
    del inputs
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            yield CaptureRefused(
                f"{_named(path, module)} is a module of TorchScript (torch.jit), which cannot be captured.",
                "Capture the Python module that it was made from; that takes its weights: "
                "module.load_state_dict(scripted.state_dict()).",
            )


def _lazy(module: nn.Module, inputs: list[Any]) -> Iterator[FeatmapError]:
    del inputs
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            yield CaptureRefused(
                f"'{name}' has no shape yet: its layer is lazy.",
                "Run the module once on an image first: module(torch.zeros(1, 3, 224, 224)).",
            )


def _quantised(module: nn.Module, inputs: list[Any]) -> Iterator[FeatmapError]:
    del inputs
    for path, part in module.named_modules():
        if "quantized" in type(part).__module__.split("."):
            yield CaptureRefused(
                f"{_named(path, module)} is a quantised {type(part).__name__}, which computes with packed integers.",
                "Capture the floating-point model that it was made from, before it is converted.",
            )


def _of_inference(module: nn.Module, inputs: list[Any]) -> Iterator[FeatmapError]:
    del inputs
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if not is_lazy(tensor) and tensor.is_inference():
            yield CaptureRefused(
                f"'{name}' was made inside of torch.inference_mode; torch.export records no module of such tensors.",
                "Build or load the module outside of it, or give a copy, whose tensors are plain ones: "
                "copy.deepcopy(module).",
            )


def _no_tensors(module: nn.Module, inputs: list[Any]) -> Iterator[FeatmapError]:
    del module
    for value in inputs:
        if not isinstance(value, Tensor) and hasattr(value, "__array__"):
            kind = type(value)
            yield InputError(
                f"An example input is a {kind.__module__.partition('.')[0]} {kind.__name__}, not a tensor.",
                "Give tensors: torch.from_numpy(array).",
            )


def _other_axes(module: nn.Module, inputs: list[Any]) -> Iterator[FeatmapError]:
    """Refuses an image without a batch axis, or with two, for a module whose layers all work on planes."""
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    kinds = {rank for part in module.modules() for rank, kind in _KINDS.items() if isinstance(part, kind)}
    if kinds != {4} or not tensors or any(value.ndim == 4 for value in tensors):
        return
    shape = tuple(max(tensors, key=lambda value: value.ndim).shape)
    if len(shape) == 3:
        yield InputError(
            f"The example input has shape {shape}: an image without a batch axis.",
            "Give it one: inputs=image[None], or only its shape: input_shape=(channels, rows, columns).",
        )
    if len(shape) == 5 and shape[:2] == (1, 1):
        yield InputError(
            f"The input shape {shape[1:]} includes the batch axis.",
            f"Give (channels, rows, columns): {shape[2:]}.",
        )


def _named(path: str, module: nn.Module) -> str:
    return f"'{path}'" if path else type(module).__name__


_CHECKS: tuple[Callable[[nn.Module, list[Any]], Iterator[FeatmapError]], ...] = (
    _scripted,
    _lazy,
    _quantised,
    _of_inference,
    _no_tensors,
    _other_axes,
)
