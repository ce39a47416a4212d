"""The arithmetic of one convolution: its output size, its cost, and the weights of a dense layer in its place.

Conventions: one MAC (multiply and add) per weight and output value, products with padding included, biases not
counted; for a transposed convolution one per weight and input value. The dense layer has the same input and output and
one bias per output value.
"""

from __future__ import annotations

from dataclasses import dataclass

from featmap.geometry.axis.window import TransposedWindow, Window
from featmap.geometry.field import ReceptiveField
from featmap.geometry.layer.check import check_convolution

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ConvolutionArithmetic:
    """The arithmetic of one convolution layer; every pair is (rows, columns). See `convolution` for shorter settings.

    `padding` is ((above, below), (left, right)). For a transposed convolution it crops the output, as in PyTorch.

    Raises: SettingError: settings that no convolution can have, all of them at once.
        KernelTooLarge: the kernel does not fit into the padded input.

    >>> layer = ConvolutionArithmetic((32, 32), channels=3, filters=6, kernel=(5, 5))
    >>> layer.output_size, layer.weights, layer.products_per_value, layer.kernels
    ((28, 28), 456, 75, 18)
    """

    input_size: Pair
    channels: int
    filters: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1
    transpose: bool = False
    output_padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        check_convolution(self)

    @property
    def rules(self) -> tuple[Window | TransposedWindow, Window | TransposedWindow]:
        """The rules along rows and along columns."""
        return self.rule(0), self.rule(1)

    def rule(self, axis: int) -> Window | TransposedWindow:
        """The rule along one axis: 0 is rows, 1 is columns."""
        numbers = self.kernel[axis], self.stride[axis], *self.padding[axis], self.dilation[axis]
        return TransposedWindow(*numbers, self.output_padding[axis]) if self.transpose else Window(*numbers)

    @property
    def output_size(self) -> Pair:
        """Rows and columns of each feature map."""
        rows, columns = self.rules
        return rows.output_size(self.input_size[0]), columns.output_size(self.input_size[1])

    @property
    def feature_maps(self) -> int:
        """The number of feature maps: one for each filter."""
        return self.filters

    @property
    def kernels(self) -> int:
        """The number of two-dimensional kernels in all filters together."""
        return self.filters * self.channels // self.groups

    @property
    def weights_without_bias(self) -> int:
        """The number of weights of all kernels."""
        return self.kernels * self.kernel[0] * self.kernel[1]

    @property
    def weights(self) -> int:
        """The number of weights, one bias for each filter included."""
        return self.weights_without_bias + self.filters

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """The shape of PyTorch's weight tensor."""
        outer, inner = (self.channels, self.filters) if self.transpose else (self.filters, self.channels)
        return outer, inner // self.groups, *self.kernel

    @property
    def taps(self) -> Pair:
        """Rows and columns of a kernel's weights that contribute to one value; of a transposed convolution, at most."""
        rows, columns = (
            max(len(rule.sources(phase, size)) for phase in range(rule.stride if self.transpose else 1))
            for rule, size in zip(self.rules, self.input_size, strict=True)
        )
        return rows, columns

    @property
    def products_per_value(self) -> int:
        """Products that add up to one value; of a transposed convolution, whose values differ, at most."""
        return self.taps[0] * self.taps[1] * self.channels // self.groups

    @property
    def macs(self) -> int:
        """Multiply-adds: one per weight and output value (transposed: input value), biases not counted."""
        height, width = self.input_size if self.transpose else self.output_size
        return height * width * self.weights_without_bias

    @property
    def input_values(self) -> int:
        """Values of all input maps together."""
        return self.channels * self.input_size[0] * self.input_size[1]

    @property
    def output_values(self) -> int:
        """Values of all feature maps together."""
        return self.filters * self.output_size[0] * self.output_size[1]

    @property
    def dense_weights(self) -> int:
        """Weights of a fully connected layer with the same input and output, one bias per output value included."""
        return self.output_values * self.dense_unit_weights

    @property
    def dense_unit_weights(self) -> int:
        """Weights of one fully connected unit on this input, its bias included."""
        return self.dense_unit_weights_without_bias + 1

    @property
    def dense_unit_weights_without_bias(self) -> int:
        """Weights of one fully connected unit on this input: one per input value."""
        return self.input_values

    @property
    def receptive_field(self) -> ReceptiveField:
        """What one unit sees of the input."""
        return ReceptiveField().through(self.rules, self.input_size)
