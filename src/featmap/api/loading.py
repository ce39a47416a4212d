"""Ways to get a network: by a name (`load`), or from a module of one's own (`trace`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featmap.api.arguments import checked_shape, plain_tensors
from featmap.api.network import Network
from featmap.capture.state.torch_state import same_random_state
from featmap.errors import InputError
from featmap.network.network import capture_module
from featmap.network.preprocess import Fit, Preprocessing
from featmap.network.preprocess_check import check_fit
from featmap.sources.class_names import ClassNames, with_classes
from featmap.sources.load import fitted, load_network


def _check_module(module: Any) -> None:
    if not isinstance(module, nn.Module):
        remedy = f"Use featmap.load({module!r})." if isinstance(module, str) else "Give a torch.nn.Module."
        raise InputError(f"trace takes a module, got {type(module).__name__}.", remedy)


def _unwrapped(module: nn.Module) -> nn.Module:
    """The module itself where it is wrapped to be compiled, or to run on several devices."""
    compiled = getattr(module, "_orig_mod", None)
    if isinstance(compiled, nn.Module):
        return compiled
    is_parallel = isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel)
    return module.module if is_parallel else module


def _holds_integers(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())


def _check_name(model: Any) -> None:
    if not isinstance(model, str):
        raise InputError(f"load takes a name, got {type(model).__name__}.", "Give a module to featmap.trace.")


def _fit(fit: str | None, fill: int | tuple[int, ...]) -> Fit | None:
    check_fit(fit, fill, (1, 1))
    return None if fit is None else Fit(fit, tuple(fill) if isinstance(fill, list) else fill)


def load(
    model: str,
    *,
    weights: str | Path | None = None,
    input_shape: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | None = None,
    fit: str | None = None,
    fill: int | tuple[int, ...] = 0,
    classes: ClassNames | None = None,
    trust: bool = False,
) -> Network:
    """The network that a name stands for.

    Without weights it can be planned at once; where values are needed, it runs on random ones (seed 0) and says so.

    Arguments: model: `torchvision:NAME`, `timm:NAME`, `package.module:callable` (a module, its class, or a function
    that returns one), or a `.pt2` file of torch.export. weights: a `.safetensors` or state-dict file, or a name of the
    zoo's own weights (`DEFAULT`). input_shape: (channel, row, column). fit: how pictures of other proportions get that
    shape: "stretch", "crop" or "pad" (with `fill`, a byte or one per channel); without it as the record says, which
    `net.preprocessing.describe()` tells. classes: names of the scores: a list, a dictionary of names by number, or a
    file with a name a line, or with JSON; for a zoo's model those of its weights, if not given. trust: allow files
    whose reading executes code.
    Raises: NoSuchModel, WeightsMismatch, ClassesMismatch, UnsafeFile, CaptureRefused, InputError, MissingPackage.
    """
    _check_name(model)
    input_shape = None if input_shape is None else checked_shape(input_shape)
    # Importing packages and building networks may draw random numbers of all kinds.
    with plain_tensors(), same_random_state():
        captured = load_network(
            model,
            weights=weights,
            input_shape=input_shape,
            preprocessing=preprocessing,
            fit=_fit(fit, fill),
            trust=trust,
            classes=classes,
        )
    return Network(captured)


def trace(
    module: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    inputs: tuple[object, ...] | Tensor | None = None,
    kwargs: Mapping[str, object] | None = None,
    preprocessing: Preprocessing | None = None,
    fit: str | None = None,
    fill: int | tuple[int, ...] = 0,
    classes: ClassNames | None = None,
) -> Network:
    """A network from a module of one's own, which is left as it is: modes, weights, hooks, random state.

    Arguments: input_shape: (channel, row, column) of one image, for modules that take a batch of images. inputs,
    kwargs: example inputs instead, for modules that take more or other things (tuples, dictionaries, keywords): a tuple
    of the forward's arguments, or a tensor, which is the only one; the first tensor with four axes counts as the image.
    fit, fill, classes: as in `load`; without fit, pictures are cropped for a square input and stretched for others.
    Raises: CaptureRefused: the forward branches on values, with the line. InputError: it cannot take this input.
    ClassesMismatch: names that do not fit its scores.

    >>> import featmap as fm, torch
    >>> fm.trace(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5), torch.nn.ReLU()), (3, 32, 32))
    Network(Sequential: input 3x32x32, 1 layers, weights: the module's own)
    """
    _check_module(module)
    module = _unwrapped(module)
    if (input_shape is None) == (inputs is None and kwargs is None):
        raise InputError(
            "trace needs one of input_shape and inputs (or kwargs).",
            "Give input_shape=(3, 224, 224), or example inputs.",
        )
    if input_shape is not None:
        input_shape = checked_shape(input_shape)
        tensor = next((weight for weight in module.parameters() if not _holds_integers(weight)), torch.empty(0))
        inputs = (torch.empty((1, *input_shape), device=tensor.device, dtype=tensor.dtype),)
    given = () if inputs is None else inputs if isinstance(inputs, tuple) else (inputs,)
    captured = capture_module(
        module, given, dict(kwargs or {}), name=type(module).__name__, preprocessing=preprocessing
    )
    return Network(with_classes(fitted(captured, _fit(fit, fill)), classes))
