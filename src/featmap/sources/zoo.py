"""The networks of torchvision and timm, with their records of weights and preprocessing."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import nn

from featmap.errors import MissingPackage, NoSuchModel, WeightsMismatch, nearest
from featmap.network.preprocess import Preprocessing
from featmap.sources.class_names import shortest_names

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_declared: list[torch.library.Library] = []


@dataclass(frozen=True)
class ZooModel:
    """A model of a zoo: how to build it, the zoo's input shape, its preprocessing record, and its classes by name."""

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None = None


def torchvision_model(name: str, weights: str | None) -> ZooModel:
    """A torchvision classification model; `weights` is a name of torchvision's own, such as DEFAULT.

    Raises: NoSuchModel, with the nearest names. WeightsMismatch: no weights of that name.
    """
    models = import_torchvision().models
    videos = models.list_models(module=models.video)
    names = [*models.list_models(module=models), *videos]
    if name not in names and name in models.list_models():
        raise NoSuchModel(
            f"torchvision's '{name}' does not classify pictures or videos.",
            "Build it in a function of your own and name that: package.module:callable.",
        )
    if name not in names:
        raise _no_such("torchvision", name, names)
    enum = models.get_model_weights(name)
    record = _torchvision_weights(name, enum, weights) if weights else next(iter(enum), None)
    preset: Any = record.transforms() if record is not None else None
    arguments = {"init_weights": True} if name in ("googlenet", "inception_v3") and not weights else {}

    def build() -> nn.Module:
        return models.get_model(name, weights=record if weights else None, **arguments)

    if name in videos:
        # Frames are resized and normalised by the user's own reader of videos.
        side = getattr(preset, "crop_size", [224])[0]
        shape, preprocessing = (3, _FRAMES, side, side), Preprocessing(takes_pictures=False)
    else:
        preprocessing = _torchvision_preprocessing(preset, str(record)) if preset is not None else Preprocessing()
        shape = (3, *(preprocessing.crop or (224, 224)))
    classes: Any = record.meta.get("categories") if record is not None else None
    named = tuple(classes) if classes else None
    return ZooModel(f"torchvision:{name}", build, shape, preprocessing, named)


_FRAMES = 16
"""Of a video: what torchvision's networks were made for."""


def _torchvision_weights(name: str, enum: Any, weights: str) -> Any:
    names = list(enum.__members__)
    if weights not in names:
        raise WeightsMismatch(
            f"torchvision:{name} has no weights '{weights}'.", f"torchvision offers {', '.join(names)}, or give a file."
        )
    return enum[weights]


def _torchvision_preprocessing(preset: Any, source: str) -> Preprocessing:
    return Preprocessing(
        preset.resize_size[0],
        (preset.crop_size[0], preset.crop_size[0]),
        tuple(preset.mean),
        tuple(preset.std),
        preset.interpolation.value,
        f"torchvision {source}",
    )


def timm_model(name: str, weights: str | None) -> ZooModel:
    """A timm model, whose name may carry a tag (`resnet50.a1_in1k`); `weights` is "DEFAULT" or a tag of timm's own.

    Raises: NoSuchModel, with the nearest names. WeightsMismatch: no weights of that name.
    """
    import_torchvision()
    timm = _import("timm", "timm", "featmap[zoo]")
    if not timm.is_model(name):
        raise _no_such("timm", name, timm.list_models())
    name = _timm_name(timm, name, weights)

    def build() -> nn.Module:
        return timm.create_model(name, pretrained=bool(weights))

    # Older versions of timm do not import it by themselves.
    data = importlib.import_module("timm.data")
    record = _timm_record(timm, name)
    config: dict[str, Any] = data.resolve_data_config({}, pretrained_cfg=record)
    preprocessing = _timm_preprocessing(config, name)
    return ZooModel(f"timm:{name}", build, tuple(config["input_size"]), preprocessing, _timm_classes(data, record))


def _timm_classes(data: ModuleType, record: dict[str, Any]) -> tuple[str, ...] | None:
    """The names that timm has for as many classes of ImageNet; None for a model that was trained on other classes."""
    subset: str | None = data.infer_imagenet_subset(record)
    return None if subset is None else _imagenet_names(subset)


@cache
def _imagenet_names(subset: str) -> tuple[str, ...]:
    """Read once: the files hold all of ImageNet, a quarter of a second's work."""
    data = importlib.import_module("timm.data")
    return shortest_names(data.ImageNetInfo(subset).label_descriptions())


def _timm_name(timm: ModuleType, name: str, weights: str | None) -> str:
    """The name with the tag of the wanted weights. The tag also decides the record and the number of classes."""
    model, tag = timm.models.split_model_name_tag(name)
    records: dict[str, Any] = timm.models.get_arch_pretrained_cfgs(model)
    if tag and name not in records:
        raise _no_such("timm", name, list(records))
    trained = [full for full, record in records.items() if record.has_weights]
    if weights is None or (weights == "DEFAULT" and (name in trained or (not tag and (trained or not records)))):
        return name
    if f"{model}.{weights}" in trained:
        return f"{model}.{weights}"
    tags = [full.partition(".")[2] for full in trained]
    offer = f"timm offers {', '.join([*tags, 'DEFAULT'])}, or give a file." if tags else "timm has none; give a file."
    raise WeightsMismatch(f"timm:{name} has no weights '{weights}'.", offer)


def _timm_record(timm: ModuleType, name: str) -> dict[str, Any]:
    record = timm.get_pretrained_cfg(name)
    return record.to_dict() if record is not None else {}


def _timm_preprocessing(config: dict[str, Any], name: str) -> Preprocessing:
    _, height, width = config["input_size"]
    # timm rounds the resized side down, as torchvision's presets were made.
    side = int(height / config["crop_pct"])
    squash = config.get("crop_mode") == "squash" or height != width
    resize = (side, int(width / config["crop_pct"])) if squash else side
    mean, std = tuple(config["mean"]), tuple(config["std"])
    return Preprocessing(resize, (height, width), mean, std, config["interpolation"], f"timm {name}")


def _no_such(zoo: str, name: str, names: list[str]) -> NoSuchModel:
    hint = nearest(name, names)
    return NoSuchModel(f"{zoo} has no model '{name}'.", hint or f"{zoo} offers {len(names)} models.")


def import_torchvision() -> Any:
    """torchvision, even where its compiled operators do not match this torch.

    No network here needs those operators, but torchvision's import fails without their schemas.
    """
    missing = [name for name in _SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if missing and not _has_compiled_operators():
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(_SCHEMAS[name])
        _declared.append(library)
    return _import("torchvision", "torchvision", "featmap[zoo]")


def _has_compiled_operators() -> bool:
    """Whether importing torchvision registers its compiled operators; found by loading only its library."""
    spec = importlib.util.find_spec("torchvision")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(_libraries(place)):
            try:
                torch.ops.load_library(file)
            except OSError:
                continue
            if hasattr(torch.ops.torchvision, "nms"):
                return True
    return False


def _libraries(place: str) -> list[str]:
    from pathlib import Path

    return [str(file) for pattern in ("_C*.so", "_C*.pyd", "_C*.dylib") for file in Path(place).glob(pattern)]


def _import(module: str, package: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"{package} cannot be imported ({error}).", f"Install it: pip install '{extra}'."
        ) from error
