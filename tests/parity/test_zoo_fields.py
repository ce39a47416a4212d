"""Receptive fields of the zoos' networks: the published sizes, and what gradients of the running networks show."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from featmap.geometry import Status
from featmap.methods.receptive_field import receptive_field
from featmap.sources.load import load_network
from featmap.testing.zoo import torchvision_names, zoo_model

PUBLISHED = {
    ("torchvision:vgg16", "features.14"): 40,
    ("torchvision:vgg16", "features.21"): 92,
    ("torchvision:vgg16", "features.28"): 196,
    ("torchvision:resnet50", "layer4.2"): 427,
    ("torchvision:resnet18", "layer4.1"): 435,
    # Araujo, Norris, Sim (2019), doi:10.23915/distill.00021, of networks with the same windows and strides.
    ("torchvision:alexnet", "features.12"): 195,
    ("torchvision:vgg16", "features.30"): 212,
    ("torchvision:inception_v3", "Mixed_7c"): 1311,
    ("timm:inception_v4", "features.21"): 2071,
    ("timm:inception_resnet_v2", "conv2d_7b"): 3039,
    ("timm:mobilenetv1_100", "blocks.4.1.conv_pw"): 315,
}

LAST_MAPS = {
    "torchvision:alexnet": ("features.12", 63),
    "torchvision:vgg11": ("features.20", 32),
    "torchvision:resnet18": ("layer4", 32),
    "torchvision:resnext50_32x4d": ("layer4", 32),
    "torchvision:wide_resnet50_2": ("layer4", 32),
    "torchvision:densenet121": ("features", 32),
    "torchvision:squeezenet1_1": ("features", 32),
    "torchvision:googlenet": ("inception5b", 32),
    "torchvision:inception_v3": ("Mixed_7c", 75),
    "torchvision:mobilenet_v2": ("features", 32),
    "torchvision:mnasnet0_5": ("layers", 32),
    "torchvision:shufflenet_v2_x0_5": ("conv5", 32),
    "torchvision:regnet_x_400mf": ("trunk_output", 32),
    "torchvision:convnext_tiny": ("features", 32),
    "timm:dla34": ("level5", 32),
    "timm:darknet53": ("stages", 32),
    "timm:hrnet_w18_small": ("final_layer", 32),
    "timm:res2net50_26w_4s": ("layer4", 32),
    "timm:fasternet_t0": ("stages", 32),
}
"""The module that returns a network's last maps, and the narrowest image that it takes."""

WHOLE = {
    "torchvision:efficientnet_b0": "squeeze-and-excitation",
    "torchvision:efficientnet_v2_s": "squeeze-and-excitation",
    "torchvision:mobilenet_v3_small": "squeeze-and-excitation",
    "torchvision:regnet_y_400mf": "squeeze-and-excitation",
    "timm:poolformer_s12": "group normalisation",
    "timm:ecaresnet26t": "efficient channel attention",
}


class Transparent(TorchFunctionMode):
    """While active, maximum pools are sums over their windows, so that a gradient shows everything that is read."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (sum_pool if func is functional.max_pool2d else func)(*args, **(kwargs or {}))


def sum_pool(
    value: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """What replaces `max_pool2d`; none of the networks here dilates or asks for indices."""
    assert dilation == 1
    assert not return_indices
    return functional.avg_pool2d(value, kernel_size, stride, padding, ceil_mode)


def evened(module: nn.Module) -> nn.Module:
    """The module in float64 with positive weights that keep values below 1: nothing cancels, no ReLU6 saturates."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in module.parameters():
            if tensor.ndim > 1:
                tensor.copy_((torch.rand(tensor.shape, generator=generator) + 0.5) / (2 * tensor[0].numel()))
        for name, tensor in module.named_parameters():
            if tensor.ndim == 1:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)
    return module.double().eval()


def rows_seen(model: str, path: str, height: int, width: int) -> tuple[int, range]:
    """A middle row of a module's maps, and the rows of the image, first to last, that have a gradient there."""
    module = evened(zoo_model(model).build())
    kept: list[Tensor] = []
    module.get_submodule(path).register_forward_hook(lambda _, __, output: kept.append(output))
    image = torch.rand(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    with Transparent():
        module(image)
    row = kept[0].shape[2] // 2
    (gradient,) = torch.autograd.grad(kept[0][0, :, row, 0].sum(), image)
    seen = (gradient[0] != 0).any(dim=0).any(dim=1).nonzero()
    return row, range(int(seen[0]), int(seen[-1]) + 1)


@pytest.mark.parametrize("model", dict.fromkeys(model for model, _ in PUBLISHED))
def test_sizes_are_the_published_ones(model: str) -> None:
    network = load_network(model)
    for address, size in ((address, size) for (name, address), size in PUBLISHED.items() if name == model):
        assert receptive_field(network, address).field.size == (size, size)


@pytest.mark.parametrize("model", LAST_MAPS)
def test_rows_of_the_last_maps_are_those_with_a_gradient(model: str) -> None:
    path, width = LAST_MAPS[model]
    network = load_network(model)
    size = receptive_field(network, path).field.size[0]
    height = (size // 32 + 6) * 32
    field = receptive_field(network.at((3, height, width)), path).field
    assert field.size == (size, size)
    row, seen = rows_seen(model, path, height, width)
    first = field.offset[0] + row * field.stride[0]
    assert seen == range(first, first + size)


@pytest.mark.parametrize("model", WHOLE)
def test_who_reads_whole_maps_says_so(model: str) -> None:
    network = load_network(model)
    layer = next(layer for layer in reversed(network.layers) if min(network.sized.size(layer.producer)) > 1)
    assert receptive_field(network, f"{layer.name}:{layer.last_stage}").status == Status.WHOLE


def test_every_family_of_torchvision_is_tested() -> None:
    def family(name: str) -> str:
        return re.split(r"_?\d|_(base|large|small|tiny)", name)[0]

    tested = {family(model.removeprefix("torchvision:")) for model in [*LAST_MAPS, *WHOLE]}
    assert {family(name) for name in torchvision_names()} <= tested
