"""The weights of one layer's convolution, by output channel."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float64, Shaped
from torch import Tensor

from featmap.errors import NoSuchStage
from featmap.geometry import TransposedWindow, Window
from featmap.geometry.setting import axis_words
from featmap.graph.operators.convolution import Convolution, ConvolutionSettings
from featmap.graph.operators.table import operator_of, printed_name
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.network.resolve import listed
from featmap.run.as_maps import as_maps
from featmap.run.magnitudes import is_complex
from featmap.run.program.constants import exact_constants


@dataclass(frozen=True)
class Filters:
    """A convolution or linear layer in float64.

    `weight` is (output channel, input channel of its group, kernel row, kernel column), with as many axes of kernels as
    its maps have, also for transposed convolutions, whose kernels are not flipped. `source` is the node that it reads.
    """

    weight: Float64[Tensor, "output channel *kernel"]
    bias: Float64[Tensor, " output"] | None
    settings: ConvolutionSettings
    source: int
    is_convolution: bool

    @property
    def rules(self) -> tuple[Window | TransposedWindow, ...]:
        """The window along each axis of the maps."""
        return tuple(self.settings.rule(axis) for axis in range(len(self.settings.kernel)))

    def inputs_of(self, channel: int) -> range:
        """The input channels that an output channel reads: those of its group."""
        per_group_out = self.weight.shape[0] // self.settings.groups
        per_group_in = self.weight.shape[1]
        first = channel // per_group_out * per_group_in
        return range(first, first + per_group_in)


def filters_of(network: CapturedNetwork, layer: CapturedLayer) -> Filters:
    """The layer's filters.

    Raises: NoSuchStage: the layer is neither a convolution nor a linear layer, or has no maps.
    """
    if layer.kind not in ("convolution", "linear"):
        raise NoSuchStage(
            f"'{layer.name}' is a {layer.kind}; it has no kernels.", "Ask about a convolution or a linear layer."
        )
    node = network.graph[layer.producer]
    if any(network.graph[index].depends_on_input for index in node.inputs[1:]):
        raise NoSuchStage(
            f"'{layer.name}': its kernels are computed from the image; there are no weights to show.",
            f"Ask for its values: maps of {layer.name}:conv.",
        )
    constants = exact_constants(network.graph, network.tensors)
    call = network.sized.call(node)
    weight = constants.argument(node.args[1])
    bias = constants.argument(node.args[2]) if len(node.args) > 2 else None
    operator = operator_of(node)
    if isinstance(operator, Convolution):
        settings = operator.settings(call)
        weight = _outputs_first(weight, settings)
        if weight.ndim == 3 and network.graph.map_axes == 2:
            weight, settings = weight[:, :, None, :], _with_one_row(settings)
    else:
        count = network.graph.map_axes
        ones = (1,) * count
        settings = ConvolutionSettings(ones, ones, ((0, 0),) * count, ones, 1, False, (0,) * count)
        weight = weight.view(*weight.shape, *ones)
    filters = Filters(weight, bias, settings, node.inputs[0], isinstance(operator, Convolution))
    _check_maps(network, layer, filters)
    return filters


def check_real(network: CapturedNetwork, layer: CapturedLayer) -> None:
    """Raises: NoSuchStage: the layer computes with complex numbers, whose sums and shares have no order."""
    if is_complex(network.sized, layer.producer):
        raise NoSuchStage(
            f"'{layer.name}' computes with complex numbers; only sums of real ones are taken apart.",
            f"Ask for its values, shown as magnitudes: maps of {layer.name}:{layer.last_stage}.",
        )


def _check_maps(network: CapturedNetwork, layer: CapturedLayer, filters: Filters) -> None:
    """Whether the weights belong to the maps that the layer reads and makes, each of rows and columns."""
    channels = network.resolver.channels
    outputs, inputs = filters.weight.shape[0], filters.weight.shape[1] * filters.settings.groups
    given = inputs if _reads_maps(network, filters) else channels(filters.source)
    if filters.weight.ndim != network.graph.map_axes + 2 or (outputs, inputs) != (channels(layer.producer), given):
        operator = printed_name(network.graph[layer.producer])
        shape = " x ".join(map(str, network.sized.shape(filters.source)[1:]))
        raise NoSuchStage(
            f"'{layer.name}' ({operator}) reads values of shape {shape}, not maps of known {_cells(network)}; "
            "it cannot be taken apart.",
            f"Ask for its values: maps of {layer.name}:conv.",
        )


def source_maps(
    network: CapturedNetwork, filters: Filters, value: Shaped[Tensor, "image ..."]
) -> Shaped[Tensor, " channel *place"]:
    """What the layer reads of one image, (channel, row, column) in the order in which the layer reads it."""
    if _reads_maps(network, filters):
        return value[0]
    return as_maps(network.sized, filters.source, value)[0]


def _reads_maps(network: CapturedNetwork, filters: Filters) -> bool:
    """Whether a convolution reads the last axes of its operand as those of maps, whatever they are."""
    shape = network.sized.shape(filters.source)
    return filters.is_convolution and len(shape) == network.graph.map_axes + 2 and shape[0] == 1


def _cells(network: CapturedNetwork) -> str:
    return listed([words.cells for words in axis_words(network.graph.map_axes)])


def _outputs_first(weight: Tensor, settings: ConvolutionSettings) -> Tensor:
    if not settings.transposed:
        return weight
    groups = settings.groups
    parts = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return parts.transpose(1, 2).reshape(groups * weight.shape[1], weight.shape[0] // groups, *weight.shape[2:])


def _with_one_row(settings: ConvolutionSettings) -> ConvolutionSettings:
    return ConvolutionSettings(
        (1, *settings.kernel),
        (1, *settings.stride),
        ((0, 0), *settings.padding),
        (1, *settings.dilation),
        settings.groups,
        settings.transposed,
        (0, *settings.output_padding),
    )
