"""Networks loaded by name: `torchvision:NAME`, `timm:NAME`, `file.pt2`, `package.module:callable`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featmap.capture.capture import capture, graph_of
from featmap.errors import InputError, ModelError, NoSuchModel, WorkError, nearest
from featmap.graph.sized_graph import SizedGraph
from featmap.network.network import CapturedNetwork, capture_module, for_one_image
from featmap.network.preprocess import Fit, Preprocessing, default_preprocessing
from featmap.network.preprocess_check import check_channels, check_fill
from featmap.network.tensors import LiveTensors, RandomTensors
from featmap.sources.archive import possible_size_reads, read_archive
from featmap.sources.build import seeded, without_values
from featmap.sources.class_names import ClassNames, with_classes
from featmap.sources.weights import load_weights
from featmap.sources.zoo import ZooModel, timm_model, torchvision_model

_FORMS = "A model is torchvision:NAME, timm:NAME, package.module:callable or a file made by torch.export (.pt2)."
_FILES = (".safetensors", ".pt", ".pth", ".bin")


def load_network(
    model: str,
    *,
    weights: str | Path | None = None,
    input_shape: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | None = None,
    fit: Fit | None = None,
    trust: bool = False,
    classes: ClassNames | None = None,
) -> CapturedNetwork:
    """The captured network that a name stands for; see `featmap.load`."""
    if model.lower().endswith((".pt2", ".onnx")) or (":" not in model and Path(model).suffix):
        network = _from_file(Path(model), weights, input_shape, preprocessing, trust=trust)
        return with_classes(fitted(network, fit), classes)
    kind, _, name = model.partition(":")
    if not name or not kind:
        raise NoSuchModel(f"'{model}' names no model.", f"{_FORMS} {nearest(model, ['torchvision', 'timm'])}".strip())
    zoo = _zoo_model(kind, name, weights)
    if zoo is None:
        zoo = _callable_model(kind, name, input_shape)
    shape = tuple(input_shape or zoo.input_shape)
    record = preprocessing or _framed(zoo, shape, fit)
    is_zoo = kind in ("torchvision", "timm")
    network = _from_builder(model, zoo.build, shape, record, weights, is_zoo=is_zoo, trust=trust)
    return with_classes(fitted(network, fit), classes, zoo.classes)


def fitted(network: CapturedNetwork, fit: Fit | None) -> CapturedNetwork:
    """The network with pictures fitted to its input in this way.

    Raises: InputError: it takes no pictures. SettingError: the record is for another number of channels.
    """
    if fit is None:
        _check_record(network)
        return network
    if len(network.input_shape) != 3:
        raise InputError(
            f"{network.name} takes inputs of shape {'x'.join(map(str, network.input_shape))}, which no picture fits.",
            "Leave fit out.",
        )
    network = replace(network, preprocessing=fit.record(network.preprocessing, network.input_shape))
    _check_record(network)
    return network


def _check_record(network: CapturedNetwork) -> None:
    """Said when a network is loaded: a plan would print a record by which no picture can be prepared."""
    if len(network.input_shape) == 3:
        record, channels = network.preprocessing, network.input_shape[0]
        check_channels(record.mean, record.std, channels)
        check_fill(record.fill, channels)


def _zoo_model(kind: str, name: str, weights: str | Path | None) -> ZooModel | None:
    own_name = None if weights is None or _is_file(weights) else str(weights)
    if kind == "torchvision":
        return torchvision_model(name, own_name)
    return timm_model(name, own_name) if kind == "timm" else None


def _is_file(weights: str | Path) -> bool:
    return isinstance(weights, Path) or weights.lower().endswith(_FILES) or "/" in weights or Path(weights).exists()


def _framed(zoo: ZooModel, shape: tuple[int, ...], fit: Fit | None) -> Preprocessing:
    """The zoo's record for another input size; a given fit decides how pictures get there."""
    record = zoo.preprocessing
    if record.crop is None:
        return replace(default_preprocessing(shape), mean=record.mean, std=record.std)
    return (record if fit is None else fit.record(record, zoo.input_shape)).at(zoo.input_shape, shape)


def _callable_model(module_name: str, name: str, input_shape: tuple[int, ...] | None) -> ZooModel:
    found = _imported(module_name, name)
    shape = getattr(found, "input_shape", None) or input_shape
    if shape is None:
        raise InputError(
            f"'{module_name}:{name}' does not say what input it takes.", "Give the input shape (--input CxHxW)."
        )

    def build() -> nn.Module:
        module = found if isinstance(found, nn.Module) else _called(found, f"{module_name}:{name}")
        if not isinstance(module, nn.Module):
            raise ModelError(
                f"'{module_name}:{name}' gave a {type(module).__name__}, not a torch.nn.Module.",
                "Name a module, its class, or a function without arguments that returns one.",
            )
        return module

    record = getattr(found, "preprocessing", None)
    return ZooModel(name, build, tuple(shape), record if isinstance(record, Preprocessing) else Preprocessing())


def _called(found: Any, name: str) -> Any:
    remedy = "Name a module, its class, or a function without arguments that returns one."
    if not callable(found):
        raise ModelError(f"'{name}' is a {type(found).__name__}, nothing that can be called.", remedy)
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise ModelError(f"'{name}' cannot be called without arguments: {error}.", remedy) from error
    except ValueError:
        # Built-in callables may have no signature.
        pass
    return found()


def _imported(module_name: str, name: str) -> Any:
    try:
        module = importlib.import_module(module_name)
    except (ModuleNotFoundError, TypeError, ValueError) as error:
        # A relative or empty name is not a module name; a module that misses one of its own imports raises by itself.
        missing = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and (missing is None or not module_name.startswith(missing)):
            raise
        hint = nearest(module_name, ["torchvision", "timm"])
        raise NoSuchModel(f"There is no Python module '{module_name}'.", f"{hint} {_FORMS}".strip()) from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint = nearest(part, [entry for entry in dir(found) if not entry.startswith("_")])
            raise NoSuchModel(f"The module '{module_name}' has no '{name}'.", hint or _FORMS)
        found = getattr(found, part)
    return found


def _from_builder(
    model: str,
    build: Callable[[], nn.Module],
    shape: tuple[int, ...],
    record: Preprocessing,
    weights: str | Path | None,
    *,
    is_zoo: bool,
    trust: bool,
) -> CapturedNetwork:
    if weights is None and is_zoo:
        return _without_weights(model, build, shape, record)
    module = _fetched(build) if weights is not None and is_zoo else seeded(build)
    if weights is not None and _is_file(weights):
        load_weights(module, Path(weights), trust=trust)
    elif weights is not None and not is_zoo:
        raise NoSuchModel(f"There is no weights file '{weights}'.", "Give the path of a weights file.")
    network = capture_module(module, (_example(shape, module),), {}, name=model, preprocessing=record)
    source = "as the model's own code made them" if weights is None else str(weights)
    return replace(network, weights_source=source)


def _fetched(build: Callable[[], nn.Module]) -> nn.Module:
    """A zoo's model with the zoo's own weights, which its loader may have to download."""
    try:
        return seeded(build)
    except OSError as error:
        raise WorkError(
            f"The weights could not be fetched: {error}.", "Give a file that is at hand: --weights FILE."
        ) from error


def _example(shape: tuple[int, ...], module: nn.Module) -> Tensor:
    tensor = next(iter(module.parameters()), torch.empty(0))
    return torch.empty((1, *shape), device=tensor.device, dtype=tensor.dtype)


def _without_weights(
    model: str, build: Callable[[], nn.Module], shape: tuple[int, ...], record: Preprocessing
) -> CapturedNetwork:
    """A network for planning: built without memory; real tensors are made when values are asked for."""
    module = without_values(build)
    graph, _ = capture(module, (_example(shape, module),), {})

    def made() -> tuple[nn.Module, Mapping[str, Tensor]]:
        real = build()
        _, program = capture(real, (_example(shape, real),), {})
        return real, LiveTensors(program)

    def again(wanted: tuple[int, ...]) -> CapturedNetwork:
        return _without_weights(model, build, wanted, record)

    tensors = RandomTensors(made, model)
    return CapturedNetwork(model, SizedGraph(graph), tensors, record, again, weights_source=tensors.description)


def _from_file(
    path: Path,
    weights: str | Path | None,
    input_shape: tuple[int, ...] | None,
    preprocessing: Preprocessing | None,
    *,
    trust: bool,
) -> CapturedNetwork:
    if path.suffix.lower() != ".pt2":
        raise NoSuchModel(f"'{path}' is not a file that featmap reads as a model.", _FORMS)
    if weights is not None:
        raise ModelError(f"'{path}' brings its own weights.", "Leave --weights out.")
    program = read_archive(path, trust=trust)
    sized = SizedGraph(graph_of(program, possible_size_reads(program, path)))
    shape = sized.shape(sized.graph.image_input)[1:]
    record = preprocessing or default_preprocessing(input_shape or shape)
    network = for_one_image(CapturedNetwork(str(path), sized, LiveTensors(program), record, weights_source=str(path)))
    return network if input_shape is None else network.at(tuple(input_shape))
