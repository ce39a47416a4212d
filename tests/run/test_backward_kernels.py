"""Signals back through windows equal torch's own gradients, for boxes anywhere on the map and over its borders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.geometry import Window
from featmap.graph.operators.convolution import ConvolutionSettings
from featmap.run.backward.forward import ForwardValues
from featmap.run.backward.kernels import filtered, spread, switched
from featmap.run.backward.signal import Boxes, MapSignal, cut, on_whole_map, signal_at
from featmap.run.region.untouched import Untouched

EXAMPLES = settings(max_examples=120)
Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """A window along both axes, the map that it reads, and the map that it makes."""

    windows: tuple[Window, Window]
    inputs: Pair
    outputs: Pair

    def setting(self, name: str) -> Pair:
        rows, columns = self.windows
        return getattr(rows, name), getattr(columns, name)


@st.composite
def layers(draw: st.DrawFn, *, pads: bool = True, dilates: bool = True, ceils: bool = False) -> Layer:
    ceil = ceils and draw(st.booleans())
    windows: list[Window] = []
    inputs: list[int] = []
    for _ in range(2):
        kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2)) if dilates else 1
        padding = draw(st.integers(0, kernel // 2)) if pads else 0
        inputs.append(draw(st.integers(max(1, (kernel - 1) * dilation + 1 - 2 * padding), 8)))
        windows.append(Window(kernel, draw(st.integers(1, 3)), padding, padding, dilation, ceil))
    assume(all(window.last_output(size) >= 0 for window, size in zip(windows, inputs, strict=True)))
    outputs = tuple(window.output_size(size) for window, size in zip(windows, inputs, strict=True))
    return Layer((windows[0], windows[1]), (inputs[0], inputs[1]), (outputs[0], outputs[1]))


def drawn_signal(data: st.DataObject, layer: Layer, channels: int) -> MapSignal:
    """Signals at boxes of outputs that may reach over the map, as boxes of units at its border do; cut to it."""
    units = data.draw(st.integers(1, 3))
    height, width = (data.draw(st.integers(1, side)) for side in layer.outputs)
    if data.draw(st.integers(0, 3)) == 0:
        height, width = layer.outputs
        starts = [np.zeros(units, dtype=np.int64)] * 2
    else:
        starts = [
            np.array([data.draw(st.integers(-1, side)) for _ in range(units)], dtype=np.int64) for side in layer.outputs
        ]
    values = torch.randn((units, channels, height, width), generator=torch.Generator().manual_seed(units))
    return cut(signal_at(values.double(), *starts), layer.outputs)


def gradient(function: Callable[[Tensor], Tensor], image: Tensor, signal: MapSignal, outputs: Pair) -> Tensor:
    """What autograd leads back for each unit's signal: (unit, channel, row, column) of the whole input."""
    whole = on_whole_map(signal, outputs).values
    found: list[Tensor] = []
    for unit in range(len(signal)):
        given_image = image.clone().requires_grad_()
        (one,) = torch.autograd.grad(function(given_image), given_image, whole[unit : unit + 1])
        found.append(one[0])
    return torch.stack(found)


def assert_led_back(made: MapSignal, expected: Tensor, inputs: Pair) -> None:
    found = on_whole_map(cut(made, inputs), inputs).values
    assert torch.allclose(found, expected, atol=1e-10)


@EXAMPLES
@given(layers(), st.data(), st.integers(1, 2))
def test_convolutions(layer: Layer, data: st.DataObject, groups: int) -> None:
    signal = drawn_signal(data, layer, channels=2 * groups)
    weight = torch.randn((2 * groups, 3, *layer.setting("kernel")), dtype=torch.float64)
    before = layer.setting("before")
    settings_ = ConvolutionSettings(
        layer.setting("kernel"),
        layer.setting("stride"),
        ((before[0], before[0]), (before[1], before[1])),
        layer.setting("dilation"),
        groups,
        transposed=False,
        output_padding=(0, 0),
    )

    def run(x: Tensor) -> Tensor:
        return functional.conv2d(x, weight, None, layer.setting("stride"), before, layer.setting("dilation"), groups)

    image = torch.zeros((1, 3 * groups, *layer.inputs), dtype=torch.float64)
    kept = signal.values.clone()
    made = filtered(signal, weight, settings_, layer.outputs, layer.inputs)
    assert_led_back(made, gradient(run, image, signal, layer.outputs), layer.inputs)
    assert torch.equal(signal.values, kept)


@EXAMPLES
@given(layers(dilates=False, ceils=True), st.data())
def test_average_pools_that_divide_by_their_window(layer: Layer, data: st.DataObject) -> None:
    """By one number for all outputs, as pools with a divisor of their own do."""
    signal = drawn_signal(data, layer, channels=2)
    rows, columns = layer.windows

    def run(x: Tensor) -> Tensor:
        before = layer.setting("before")
        return functional.avg_pool2d(
            x, layer.setting("kernel"), layer.setting("stride"), before, rows.ceil_mode, divisor_override=5
        )

    image = torch.zeros((1, 2, *layer.inputs), dtype=torch.float64)
    assert run(image).shape[2:] == layer.outputs
    made = spread(signal, 5.0, rows, columns)
    assert_led_back(made, gradient(run, image, signal, layer.outputs), layer.inputs)


@settings(max_examples=40)
@given(layers(ceils=True), st.data(), st.integers(0, 99))
def test_maximum_pools_through_their_switches(layer: Layer, data: st.DataObject, seed: int) -> None:
    rows, columns = layer.windows
    pool = nn.MaxPool2d(
        layer.setting("kernel"),
        layer.setting("stride"),
        layer.setting("before"),
        layer.setting("dilation"),
        ceil_mode=rows.ceil_mode,
    )
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn((1, 2, *layer.inputs), generator=generator, dtype=torch.float64)
    if not torch.isfinite(pool(image)).all():
        return  # A window of padding alone has no maximum that could be found.
    forward, node = pooled(pool, image)
    signal = drawn_signal(data, layer, channels=2)
    made = switched(signal, forward.switches(node, signal.boxes), rows, columns)
    assert_led_back(made, gradient(pool, image, signal, layer.outputs), layer.inputs)


def pooled(pool: nn.Module, image: Tensor) -> tuple[ForwardValues, object]:
    """The forward values of a pool alone, and its node."""
    captured = fm.trace(nn.Sequential(pool).double(), inputs=image)._captured
    (output,) = captured.graph.outputs
    assert output is not None
    values = {captured.graph.image_input: image, output: pool(image)}
    return ForwardValues(Untouched(captured.sized, values)), captured.graph[output]


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_forward_values_at_boxes_are_slices_of_the_map(height: int, width: int, data: st.DataObject) -> None:
    """Outside of the map anything may stand, so that only places on it are compared."""
    image = torch.arange(2.0 * height * width, dtype=torch.float64).view(1, 2, height, width)
    forward, _ = pooled(nn.ReLU(), image)
    source = forward.sized.graph.image_input
    units = data.draw(st.integers(1, 3))
    rows, columns = (
        np.array([data.draw(st.integers(-2, side)) for _ in range(units)], dtype=np.int64) for side in (height, width)
    )
    boxes = Boxes(rows, columns, data.draw(st.integers(1, height + 2)), data.draw(st.integers(1, width + 2)))
    found = forward.at(source, boxes).expand(units, -1, -1, -1)
    assert found.shape == (units, 2, boxes.height, boxes.width)
    for unit in range(units):
        for row in range(boxes.height):
            for column in range(boxes.width):
                place = int(rows[unit]) + row, int(columns[unit]) + column
                if 0 <= place[0] < height and 0 <= place[1] < width:
                    assert torch.equal(found[unit, :, row, column], image[0, :, place[0], place[1]])


def test_where_all_units_read_the_same_there_is_one_for_all_of_them() -> None:
    image = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    forward, _ = pooled(nn.ReLU(), image)
    zeros = np.zeros(7, dtype=np.int64)
    found = forward.at(forward.sized.graph.image_input, Boxes(zeros, zeros, 5, 4))
    assert found.shape == (1, 2, 5, 4)
    assert torch.equal(found, image)


def test_switches_are_found_once_for_the_same_boxes_and_anew_for_others() -> None:
    pool = nn.MaxPool2d(2)
    forward, node = pooled(pool, torch.randn(1, 2, 8, 8, dtype=torch.float64))
    at = np.array([0, 2], dtype=np.int64)
    first = forward.switches(node, Boxes(at, at, 1, 1))
    known = forward._switches[node.index][1]
    assert torch.equal(forward.switches(node, Boxes(at, at, 1, 1)), first)
    assert forward._switches[node.index][1] is known
    other = forward.switches(node, Boxes(at + 1, at + 1, 1, 1))
    assert forward._switches[node.index][1] is not known
    assert other.dtype == torch.int16
