"""Architectures of torchvision with small seeded weights, each built and captured once per test run.

The weights are drawn so that values stay near 1 through all layers and batch norms are no identities: a stage that is
mixed up with another one then differs in its first digits. Wide classifiers are replaced by narrow ones.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

import featmap as fm
from featmap.sources.zoo import import_torchvision

SHAPES = {
    "alexnet": (3, 80, 72),
    "vgg16": (3, 48, 40),
    "resnet18": (3, 64, 56),
    "squeezenet1_1": (3, 64, 56),
    "densenet121": (3, 64, 48),
    "inception_v3": (3, 96, 88),
    "googlenet": (3, 64, 56),
    "mobilenet_v2": (3, 64, 56),
}
ARCHITECTURES = tuple(SHAPES)


@dataclass(frozen=True)
class ZooNetwork:
    """A module in evaluation mode and the network captured from it."""

    module: nn.Module
    net: fm.Network
    shape: tuple[int, int, int]

    def images(self, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
        generator = torch.Generator().manual_seed(count)
        return torch.randn((count, *self.shape), generator=generator, dtype=torch.float64).to(dtype)


@cache
def zoo_network(name: str, *, double: bool = False) -> ZooNetwork:
    """The architecture `name`; with the same weights in float64 if `double`."""
    if double:
        single = zoo_network(name)
        module = copy.deepcopy(single.module).double()
        return ZooNetwork(module, fm.trace(module, single.shape), single.shape)
    module = seeded(_narrow(name)).eval()
    return ZooNetwork(module, fm.trace(module, SHAPES[name]), SHAPES[name])


def _narrow(name: str) -> nn.Module:
    models = import_torchvision().models
    arguments = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        module = models.get_model(name, **arguments)
        if name == "alexnet":
            module.classifier[1], module.classifier[4] = nn.Linear(9216, 64), nn.Linear(64, 64)
            module.classifier[6] = nn.Linear(64, 10)
        if name == "vgg16":
            module.classifier[0], module.classifier[3] = nn.Linear(25088, 64), nn.Linear(64, 64)
            module.classifier[6] = nn.Linear(64, 10)
    return module.to_empty(device="cpu")


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module (changed in place) with weights and statistics drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: Tensor, scale: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)

    def uniform(tensor: Tensor) -> None:
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)

    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("num_batches_tracked"):
                tensor.zero_()
            elif tensor.ndim > 1:
                normal(tensor, (2 / tensor[0].numel()) ** 0.5)
            elif name.endswith(("weight", "running_var")):
                uniform(tensor)
            else:
                normal(tensor, 0.1)
    return module


def without_in_place(module: nn.Module) -> nn.Module:
    """A deep copy whose modules do not write into their inputs."""
    plain = copy.deepcopy(module)
    for part in plain.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return plain


def values_of_modules(module: nn.Module, images: Tensor) -> dict[tuple[str, int], Tensor]:
    """What every call of a module without children returns: a copy of the value by (path, number of the call)."""
    plain = without_in_place(module)
    found: dict[tuple[str, int], Tensor] = {}

    def keep(path: str):
        def hook(_module: nn.Module, _inputs: object, value: Tensor) -> None:
            number = 1 + sum(key[0] == path for key in found)
            # A copy: the model's own code may still write into the value.
            found[path, number] = value.detach().clone()

        return hook

    for path, part in plain.named_modules():
        if not list(part.children()):
            part.register_forward_hook(keep(path))
    with torch.no_grad():
        plain(images)
    return found
