"""What a normalisation does to one value: mean and variance that are taken off it, scale and shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.graph.graph import Reference, Weight
from featmap.graph.operators.base.call import named_arguments
from featmap.graph.operators.normalization import BatchNorm, LayerNorm, MapNorm
from featmap.graph.operators.table import operator_of, printed_name
from featmap.methods.shared.operand_terms import place_in_value
from featmap.network.network import CapturedNetwork
from featmap.run.program.constants import Constants, exact_constants


@dataclass(frozen=True)
class NormalizationStep:
    """A normalisation of one value: value * scale + shift = (value - mean) / sqrt(variance + epsilon) * weight + bias.

    `mean` and `variance` are those kept by a batch norm, or taken from the value's own group or position. All are
    `None` where they depend on other values in a way that is not taken apart.
    """

    operator: str
    scale: float | None
    shift: float | None
    mean: float | None = None
    variance: float | None = None


def norm_step(
    network: CapturedNetwork, index: int, given: Shaped[Tensor, "*axes"] | None, channel: int, unit: tuple[int, ...]
) -> NormalizationStep:
    """What a normalisation node does to one unit's value; `given` is what it reads, for one image in float64."""
    node, graph = network.graph[index], network.graph
    operator, constants = operator_of(node), exact_constants(graph, network.tensors)
    name = printed_name(node)
    if isinstance(operator, BatchNorm) and operator.scales_and_shifts(graph, node):
        scale, shift = constants.scale_and_shift(node)
        mean, variance = (constants.argument(part).double()[channel] for part in node.args[3:5])
        return NormalizationStep(name, *map(float, (scale[channel], shift[channel], mean, variance)))
    arguments = named_arguments(node)
    if given is None or any(isinstance(arguments.get(part), Reference) for part in ("weight", "bias")):
        return NormalizationStep(name, None, None)
    at = place_in_value(network, index, channel, unit)
    kept = [arguments.get(part) for part in ("running_mean", "running_var")]
    if isinstance(operator, MapNorm) and arguments.get("use_input_stats") is False:
        # As a batch norm: what was kept of each channel.
        mean, variance, weight_at = *(constants.argument(part).double()[channel] for part in kept), channel
        return _step(name, constants, arguments, (mean, variance), weight_at)
    if isinstance(operator, LayerNorm) and "normalized_shape" in arguments and name != "rms_norm":
        count = torch.Size(arguments["normalized_shape"]).numel()
        group, weight_at = given.reshape(-1, count)[at // count], at % count
    elif isinstance(operator, MapNorm) and arguments.get("use_input_stats", True) and "input" in arguments:
        channels = given.shape[1]
        groups = arguments.get("num_groups", channels)
        weight_at = at // given[0, 0].numel() % channels
        group = given[0].reshape(groups, -1)[weight_at * groups // channels]
    else:
        return NormalizationStep(name, None, None)
    return _step(name, constants, arguments, (group.mean(), group.var(correction=0)), weight_at)


def _step(
    name: str, constants: Constants, arguments: dict[str, Any], moments: tuple[Tensor, Tensor], weight_at: int
) -> NormalizationStep:
    mean, variance = moments
    scale = torch.rsqrt(variance + arguments.get("eps", 1e-5))
    scale = scale * _one(constants, arguments.get("weight"), weight_at, 1.0)
    shift = _one(constants, arguments.get("bias"), weight_at, 0.0) - mean * scale
    return NormalizationStep(name, *map(float, (scale, shift, mean, variance)))


def _one(constants: Constants, leaf: Any, at: int, default: float) -> Tensor | float:
    return constants.leaf(leaf).double().reshape(-1)[at] if isinstance(leaf, Weight) else default
