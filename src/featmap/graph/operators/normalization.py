"""Normalisations: by stored statistics, over channels, over a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from featmap.graph.graph import Graph, Node
from featmap.graph.operators.base.call import Axes, Call, Operand, named_arguments, only_first_depends
from featmap.graph.operators.base.channels import ALL, ChannelSet
from featmap.graph.operators.base.operator import NotResizable, Rules, reads_images_besides, whole
from featmap.graph.operators.base.regions import has_weights_in_space, reads_one
from featmap.graph.operators.base.roles import Role
from featmap.graph.operators.base.wording import defaults_of
from featmap.graph.operators.pointwise import Elementwise, mixed_rule

USUAL_NORM = {"eps": 1e-5, "use_input_stats": True}
"""What PyTorch's layers of normalisation have by default."""


@dataclass(frozen=True)
class Normalizing(Elementwise):
    """What normalisations of all kinds share."""

    kind: ClassVar[str] = "normalization"
    joins_positions: ClassVar[bool] = False
    is_normalization: ClassVar[bool] = True
    weights_are_channels: ClassVar[bool] = True
    is_fresh: ClassVar[bool] = True

    def left_out(self, call: Call) -> Mapping[str, Any]:
        return {**USUAL_NORM, **defaults_of(call)}


@dataclass(frozen=True)
class Normalization(Normalizing):
    """Normalisation by stored statistics: in evaluation a scale and a shift per channel."""

    def takes_batch(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments takes the statistics of the images that run together."""
        return bool(arguments.get("training"))

    def axes(self, call: Call) -> Axes:
        # The second axis are channels; where nobody knows the others, they are those of maps.
        found, count = super().axes(call), len(call.out_shape) - 2
        return found if found.in_space or count not in (2, call.graph.map_axes) else call.map_axes(count)

    def mixes_images(self, call: Call) -> bool:
        return self.takes_batch(call.arguments) or reads_images_besides(call, "input")

    def rules(self, call: Call, operand: Operand) -> Rules:
        # Without stored statistics it takes those of the batch, in evaluation too.
        return whole(call, operand) if self.takes_batch(call.arguments) else super().rules(call, operand)

    def has_map_of_weights(self, call: Call) -> bool:
        return has_weights_in_space(call)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.takes_batch(call.arguments) and call.main.shape[0] != call.captured_main_shape[0]:
            raise NotResizable("statistics of the batch")
        return super().resized(call)

    def uses_batch_statistics(self, node: Node) -> bool:
        return self.takes_batch(named_arguments(node))


@dataclass(frozen=True)
class BatchNormInTraining(Normalization):
    """Forms of batch norm that take the statistics of the images that run together, without being told."""

    def takes_batch(self, arguments: Mapping[str, Any]) -> bool:
        return True


@dataclass(frozen=True)
class BatchNorm(Normalization):
    """batch_norm, whose scale and shift go into a convolution before it or are written over its input."""

    def scales_and_shifts(self, graph: Graph, node: Node) -> bool:
        """Whether it uses its kept statistics, and weights that no image changes."""
        return node.args[3] is not None and not node.args[5] and only_first_depends(graph, node)

    def in_place(self, graph: Graph, node: Node) -> Callable[..., Any] | None:
        return _normalized_in_place if self.scales_and_shifts(graph, node) else None

    def acts_linearly(self, call: Call) -> bool:
        return reads_one(call) and not call["training"] and call["running_mean"] is not None

    def role_in_space(self, call: Call) -> Role | None:
        is_map = len(call.out_shape) == 4 and not self.has_map_of_weights(call)
        return Role.SCALE if self.acts_linearly(call) and is_map else None


def scale_and_shift(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """The scale and shift per channel that an evaluating batch norm is, in float64."""
    scale = torch.rsqrt(variance.double() + epsilon)
    scale = scale if weight is None else scale * weight.double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.double()


def _normalized_in_place(
    maps: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, *settings: Any
) -> Tensor:
    """An evaluating batch norm, written over its input. The arguments are those of aten.batch_norm."""
    scale, shift = (part.to(maps.dtype) for part in scale_and_shift(weight, bias, mean, variance, settings[2]))
    shape = (-1, *[1] * (maps.ndim - 2))
    return torch.addcmul(shift.view(shape), maps, scale.view(shape), out=maps)


@dataclass(frozen=True)
class LayerNorm(Normalizing):
    """Normalisation over the trailing axes: pointwise in space where those hold channels only."""

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return ALL

    def rules(self, call: Call, operand: Operand) -> Rules:
        if not operand.depends_on_input:
            return super().rules(call, operand)
        mixed = range(operand.rank - len(call["normalized_shape"]), operand.rank)
        return tuple(mixed_rule(call, axis, mixed) for axis in operand.axes.spatial)


@dataclass(frozen=True)
class MapNorm(Normalizing):
    """Group and instance normalisation: the statistics are the map's own, so every value reads the whole map.

    An instance normalisation that uses stored statistics is a scale and a shift per channel.
    """

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return ALL if _uses_own_statistics(call) else super().channels(call, position, wanted)

    def rules(self, call: Call, operand: Operand) -> Rules:
        return whole(call, operand) if _uses_own_statistics(call) else super().rules(call, operand)

    def has_map_of_weights(self, call: Call) -> bool:
        return has_weights_in_space(call)


@dataclass(frozen=True)
class NativeMapNorm(MapNorm):
    """native_group_norm, which group_norm is made of in archives of other versions of torch."""

    needs_contiguous: ClassVar[bool] = True


def _uses_own_statistics(call: Call) -> bool:
    return bool(call.get("use_input_stats", True))
