"""What projections should be, worked out by autograd on the captured graph with the rule at every rectifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import featmap as fm
from featmap.methods.maps import as_maps
from featmap.methods.shared.projection import Projection
from featmap.testing.oracles import ruled_values

RULES = ("gradient", "deconvnet", "guided")
RECTIFIERS = ("relu", "relu6", "hardtanh", "clamp", "clamp_min", "threshold")


def rectifiers_of(net: fm.Network) -> list[int]:
    """The nodes that set negatives to zero; clamps elsewhere than at 0 are none."""
    nodes = [node for node in net._captured.graph if node.base_name in RECTIFIERS and node.depends_on_input]
    return [node.index for node in nodes if node.base_name in ("relu", "relu6") or node.args[1] == 0]


def values_under(net: fm.Network, image: Tensor, rule: str) -> tuple[Tensor, list[Tensor]]:
    """The image, asking for gradients, and every value of the graph under a rule."""
    image = image.double().clone().requires_grad_()
    weights = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors(net).items()}
    return image, ruled_values(net._captured.graph, weights, image, rule, rectifiers_of(net))


def tensors(net: fm.Network) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in net._captured.tensors.items()}


def expected(net: fm.Network, image: Tensor, address: str, unit: tuple[int, ...], rule: str) -> tuple[float, Tensor]:
    """A unit's value, and its projection started from that value: (channel, row, column) of the whole image."""
    given, values = values_under(net, image, rule)
    place = net._captured.place(address)
    maps = as_maps(net._captured.sized, place.node, values[place.node])
    value = maps[(0, *unit)]
    start = value.detach()
    if rule != "gradient" and place.address.stage in ("conv", "z"):
        start = start.clamp_min(0)
    if not value.requires_grad:
        return float(value.detach()), torch.zeros_like(given[0]).detach()
    (found,) = torch.autograd.grad(value, given, start, materialize_grads=True)
    return float(value.detach()), found[0]


def assert_close(found: Projection, projection: Tensor, value: float, close: float = 1e-9) -> None:
    """The whole projection equals the expected one; so outside of its box there is nothing."""
    # A maximum over padding alone is -inf.
    assert found.value == value or abs(found.value - value) <= close * max(abs(value), 1e-12)
    got, nowhere = found.on_image().double(), projection.isnan()
    # Some gradients are infinite; torch then knows no number, and neither do we.
    assert torch.equal(got.isnan(), nowhere)
    largest = float(projection[~nowhere].abs().max()) if not nowhere.all() else 0.0
    assert float((got - projection)[~nowhere].abs().max() if largest else 0.0) <= close * max(largest, 1e-12)


def last_layer(net: fm.Network) -> str:
    """The address of the output."""
    (output,) = net._captured.graph.outputs
    assert output is not None
    return net._captured.resolver.describe(output)


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """Weights of both signs, and batch norms with statistics of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
                tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
    return module
