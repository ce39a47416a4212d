"""Networks on signals and volumes: every question answers, and its answer is the definition's."""

from __future__ import annotations

import copy
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featmap as fm
from featmap.errors import AddressSyntaxError, InputError, OutputError, UnitOutOfRange
from featmap.geometry import Box
from featmap.result import pictures_of
from featmap.testing.modules import PadLayer, make_positive, transparent
from featmap.testing.oracles import SupportMask, gradient_support
from featmap.testing.strategies import RandomNetwork, networks
from support.projection_cases import randomised

EXAMPLES = settings(
    max_examples=40,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
SIGNAL = (nn.Sequential(nn.Conv1d(2, 4, 7), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 3, 7, dilation=2)), (2, 64))
VOLUME = (nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 3, (1, 3, 3))), (1, 12, 14, 16))
NETWORKS = pytest.mark.parametrize(("module", "shape"), [SIGNAL, VOLUME], ids=["signal", "volume"])


def other_axes() -> st.SearchStrategy[RandomNetwork]:
    return st.sampled_from([1, 3]).flatmap(lambda axes: networks(3, axes))


def image_of(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def traced(module: nn.Module, shape: tuple[int, ...]) -> tuple[nn.Module, fm.Network, Tensor]:
    module = randomised(copy.deepcopy(module).double(), 1).eval()
    return module, fm.trace(module, shape), image_of(shape)


@NETWORKS
def test_maps_are_those_of_hooks(module: nn.Module, shape: tuple[int, ...]) -> None:
    module, net, image = traced(module, shape)
    kept: dict[str, Tensor] = {}
    for name, part in module.named_children():
        part.register_forward_hook(lambda _part, _given, made, name=name: kept.update({name: made.detach()}))
    module(image)
    for hook in (part._forward_hooks for part in module.children()):
        hook.clear()
    maps = net.maps(image, ["0:conv", "0:a", "2", "3:z"], dtype=torch.float64, progress=False)
    for address, name in (("0:conv", "0"), ("0:a", "1"), ("2", "2"), ("3:z", "3")):
        torch.testing.assert_close(maps[address].values, kept[name], rtol=1e-9, atol=1e-9)
    assert net.plan()["3"].output_shape == tuple(kept["3"].shape[1:])


@EXAMPLES
@given(other_axes(), st.data(), st.integers(0, 999))
def test_every_channel_sees_what_a_gradient_says(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    """Layers inside the network too, and the uncut field of a unit is its box where it fits into the image."""
    module = make_positive(drawn.module, seed)
    net = fm.trace(module, drawn.input_shape)
    image = torch.rand(1, *drawn.input_shape, dtype=torch.float64) + 0.1
    for place in net._captured.layer_places():
        address = place.key
        field = net.receptive_field(address).field
        shape = net.maps(image, address, progress=False)[address].values.shape[1:]
        unit = tuple(data.draw(st.integers(0, side - 1)) for side in shape)
        found = net.receptive_field(f"{address}/{unit[0]}@{','.join(map(str, unit[1:]))}")
        uncut = field.uncut_box(unit[1:])
        # Padding that mirrors or repeats the signal puts other pixels of it there.
        is_plain = all(part.mode == "constant" for part in module.modules() if isinstance(part, PadLayer))
        if is_plain and found.status == "exact" and field.status == "exact" and uncut is not None:
            assert found.box == uncut.clip(*drawn.input_shape[1:])
        gradient = _reads(net, module, image, place.node, unit)
        support = SupportMask((gradient.view(-1, *drawn.input_shape[1:]) != 0).any(0))
        assert found.box.contains(support.box)
        if found.status == "exact":
            assert support.box == found.box
            assert support.fills_box


def _reads(net: fm.Network, module: nn.Module, image: Tensor, node: int, unit: tuple[int, ...]) -> Tensor:
    """The gradient of one unit where maximum pools pass it to every value that they choose from."""
    other = fm.trace(transparent(copy.deepcopy(module)), tuple(image.shape[1:]))
    address = net._captured.resolver.describe(node).partition(":")[0]
    at = f"{address}/{unit[0]}@{','.join(map(str, unit[1:]))}"
    return other.project(image, at, "gradient", start="one", dtype=torch.float64, progress=False).on_image()


@EXAMPLES
@given(other_axes(), st.data(), st.integers(0, 999))
def test_a_value_is_the_sum_of_its_terms(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    module, net, image = randomised(drawn.module, seed), None, image_of(drawn.input_shape, seed)
    net = fm.trace(module, drawn.input_shape)
    layers = [layer for layer in net._captured.layers if layer.kind == "convolution"]
    if not layers:
        return
    name = data.draw(st.sampled_from([layer.name for layer in layers]))
    maps = net.maps(image, f"{name}:conv", dtype=torch.float64, progress=False)[f"{name}:conv"].values[0]
    unit = tuple(data.draw(st.integers(0, side - 1)) for side in maps.shape)
    found = net.explain(image, f"{name}:conv/{unit[0]}@{','.join(map(str, unit[1:]))}")
    scale = max(1.0, float(maps.abs().max()))
    total = sum(float((term.window * term.kernel).sum()) for term in found.terms) + (found.bias or 0.0)
    assert abs(total - float(maps[unit])) <= 1e-9 * scale
    parts = net.contributions(image, f"{name}/{unit[0]}")
    made = parts.values.sum(0) + (parts.bias or 0.0)
    assert float((made - maps[unit[0]]).abs().max()) <= 1e-9 * scale
    for term, value in zip(found.terms, parts.values[(slice(None), *unit[1:])], strict=True):
        assert abs(term.sum - float(value)) <= 1e-9 * scale


@NETWORKS
def test_a_matrix_is_the_convolution(module: nn.Module, shape: tuple[int, ...]) -> None:
    module, net, image = traced(module, shape)
    found = net.layers[0].as_matrix()
    made = (found.matrix @ image.flatten()).view(found.output_shape)
    with torch.no_grad():
        bias = module[0].bias.view(-1, *[1] * (len(shape) - 1))
        torch.testing.assert_close(made + bias, module[0](image)[0], rtol=1e-9, atol=1e-9)


@NETWORKS
def test_an_index_holds_the_strongest_units_and_their_boxes(
    module: nn.Module, shape: tuple[int, ...], tmp_path: Path
) -> None:
    module, net, _ = traced(module, shape)
    module, net = module.float(), fm.trace(module.float(), shape)
    images = torch.cat([image_of(shape, seed) for seed in range(6)]).float()
    index = fm.Index.build(net, images, tmp_path / "found.fmi", layers=["0", "3"], progress=False)
    maps = net.maps(images, ["0:a", "3:z"], progress=False)
    for address in ("0:a", "3:z"):
        values = maps[address].values
        for channel in range(values.shape[1]):
            best = values[:, channel].flatten(1).max(1)
            order = best.values.argsort(descending=True, stable=True)[:3].tolist()
            top = index.top(f"{address}/{channel}", k=3)
            assert [example.number for example in top.examples] == order
            for example, image in zip(top.examples, order, strict=True):
                flat = int(best.indices[image])
                unit = tuple(int(at) for at in np.unravel_index(flat, tuple(values.shape[2:])))
                assert example.unit == unit
                assert example.value == pytest.approx(float(best.values[image]), rel=1e-6)
                box = net.receptive_field(f"{address}/{channel}@{','.join(map(str, unit))}").box
                assert example.box == box
        means = values.mean(dim=(0, *range(2, values.ndim)))
        for channel, mean in enumerate(means.tolist()):
            assert index.distribution(f"{address}/{channel}").mean == pytest.approx(mean, rel=1e-5, abs=1e-6)
    assert index.verify().is_sound


def test_the_support_of_a_unit_in_a_dilated_causal_network() -> None:
    """WaveNet-like: padded on the left alone, with dilations that double."""

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv1d(2, 2, 2, dilation=2**at) for at in range(4))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(nn.functional.pad(x, (layer.dilation[0], 0))).relu() + x
            return x

    module = make_positive(Causal().double().eval())
    net = fm.trace(module, (2, 40))
    address = net._captured.resolver.describe(net._captured.graph.outputs[0])
    found = net.receptive_field(f"{address}/1@30")
    support = gradient_support(transparent(copy.deepcopy(module)), image_of((2, 40)).abs() + 0.1, 1, 30)
    assert found.box == support.box == Box(15, 31)
    assert (found.field.size, found.field.stride, found.field.offset) == ((16,), (1,), (-15,))


@pytest.mark.parametrize("samples", [64, 90])
def test_signals_without_an_axis_of_channels(samples: int) -> None:
    """As wav2vec2 takes them: (image, position), to which the network adds its channels."""

    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv1d(1, 3, 5, 2), nn.ReLU(), nn.Conv1d(3, 2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x[:, None])

    module = randomised(Raw().double(), 3).eval()
    net = fm.trace(module, (64,))
    image = image_of((samples,))
    with torch.no_grad():
        made = module(image)
    assert torch.allclose(net.maps(image, "body.2", dtype=torch.float64, progress=False)["body.2"].values, made)
    assert net.receptive_field("body.2:z/1@4").box == Box(8, 17)
    given_image = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(module(given_image)[0, 1, 4], given_image)
    found = net.project(image, "body.2:z/1@4", "gradient", start="one", dtype=torch.float64, progress=False)
    torch.testing.assert_close(found.on_image(), expected)
    occluded = net.occlude(image, "body.2/1", 8, 4, activity="sum", dtype=torch.float64, verify=4, progress=False)
    assert occluded.grid.shape == (len(range(0, samples - 7, 4)) + ((samples - 8) % 4 > 0),)
    assert occluded.verification is not None
    assert occluded.verification.relative < 1e-9


def test_pictures_made_of_a_signal() -> None:
    """As torchcrepe's: a window of samples becomes one column of pixels, and filters slide over it."""

    class Framed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, (8, 1), (4, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x[:, None, :, None]).relu()

    module = make_positive(Framed().double().eval())
    net = fm.trace(module, (64,))
    found = net.receptive_field("conv:z/1@3,0")
    assert found.box == Box(12, 20)
    assert (found.field.size, found.field.stride, found.status) == ((8,), (4,), "exact")


def test_units_of_too_many_or_too_few_axes() -> None:
    net = fm.trace(*SIGNAL)
    with pytest.raises(UnitOutOfRange) as raised:
        net.receptive_field("3:z/0@1,2")
    assert str(raised.value) == (
        "'3:z/0@1,2': a unit of these feature maps, 17 positions, has 1 number, @POSITION; got 2 numbers.\n\n"
        "Write @0 for the first, @16 for the last."
    )
    with pytest.raises(UnitOutOfRange) as raised:
        fm.trace(*VOLUME).receptive_field("3:z/0@4,5")
    assert str(raised.value) == (
        "'3:z/0@4,5': a unit of these feature maps, 5 planes, 4 rows and 5 columns, has 3 numbers, "
        "@PLANE,ROW,COLUMN; got 2 numbers.\n\nWrite @0,0,0 for the first, @4,3,4 for the last."
    )
    with pytest.raises(UnitOutOfRange) as raised:
        fm.trace(*VOLUME).receptive_field("3:z/0@5,0,0")
    assert str(raised.value) == (
        "'3:z/0@5,0,0': there is no unit at plane 5, row 0, column 0; the feature map has 5 planes, 4 rows and 5 "
        "columns.\n\nAsk for a plane from 0 to 4, a row from 0 to 3 and a column from 0 to 4."
    )
    with pytest.raises(AddressSyntaxError, match="is not a unit"):
        net.receptive_field("3:z/0@1,2,3,4")


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((64, 3)), "takes signals of 2 channels; got an array of shape (64, 3)"),
        (np.zeros((0, 2)), "holds nothing"),
        (np.array([["a", "b"]]), "is not one of signals"),
    ],
)
def test_arrays_that_are_no_signals(array: np.ndarray, text: str) -> None:
    with pytest.raises(InputError) as raised:
        fm.trace(*SIGNAL).maps(array, progress=False)
    assert text in str(raised.value)


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three signals: a sound, an array with its channels behind, one with its channels in front."""
    folder = tmp_path_factory.mktemp("signals")
    generator = np.random.default_rng(0)
    np.save(folder / "behind.npy", generator.standard_normal((64, 2)).astype(np.float32))
    np.save(folder / "front.npy", generator.standard_normal((2, 64)).astype(np.float32))
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(generator.integers(-(2**15), 2**15, (64, 2)).astype("<i2").tobytes())
    (folder / "notes.txt").write_text("no signal")
    return folder


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_sound_is_read_as_its_numbers_say(width: int, tmp_path: Path) -> None:
    """Whole numbers of one to four bytes become -1 to 1; bytes are counted from 128."""
    half = 2 ** (8 * width - 1)
    numbers = [-half, -half // 2, 0, half // 2, half - 1] * 13
    raw = b"".join(
        (number + half if width == 1 else number).to_bytes(width, "little", signed=width > 1) for number in numbers
    )
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(raw)
    module = nn.Conv1d(1, 1, 1, bias=False)
    module.weight.data.fill_(1.0)
    net = fm.trace(nn.Sequential(module), (1, 64))
    found = net.maps(tmp_path / "sound.wav", "0", progress=False)["0"].values[0, 0]
    torch.testing.assert_close(found, torch.tensor([number / half for number in numbers]), rtol=0, atol=1e-7)


def test_a_folder_of_signals_answers_every_question(signals: Path, tmp_path: Path) -> None:
    _, net, _ = traced(*SIGNAL)
    net = fm.trace(SIGNAL[0].float(), SIGNAL[1])
    maps = net.maps(signals, "0", progress=False)["0"]
    assert maps.images == ("behind.npy", "front.npy", "sound.wav")
    given = np.load(signals / "front.npy")
    alone = net.maps(torch.from_numpy(given)[None], "0", progress=False)["0"].values[0]
    torch.testing.assert_close(maps.values[1], alone)
    index = fm.Index.build(net, signals, tmp_path / "signals.fmi", layers=["0", "3"], progress=False)
    assert "values as they are" in str(index.summary())
    assert index.similar("front.npy", "0").nearest[0].image in ("behind.npy", "sound.wav")
    assert index.audit().layers[0].maps == 4
    top = index.top("0:a/1", k=2)
    assert len(top.save(tmp_path / "top.png")) == 1
    for answer in (index.top_sheet("0", k=1), index.similar("front.npy", "0")):
        with pytest.raises(OutputError, match="no pictures are put on a sheet"):
            answer.save(tmp_path / "sheet.png")
    sheet = net.sheet(signals, "0", k=2, progress=False)
    values = maps.values.flatten(2).amax(2)
    for channel, examples in sheet.examples.items():
        best = values[:, channel].argsort(descending=True)[: len(examples)]
        assert [example.image for example in examples] == [maps.images[at] for at in best]
    with pytest.raises(OutputError, match="signals or volumes"):
        sheet.save(tmp_path / "sheet.png")
    with pytest.raises(InputError, match="takes no pictures, on which a box could be drawn"):
        net.draw_field(signals / "front.npy", "0:a/1@3")
    pictures = fm.trace(nn.Sequential(nn.Conv2d(1, 1, 1)), (1, 8, 8))
    with pytest.raises(InputError, match=r"takes no signals; a \.wav file holds one"):
        pictures.maps(signals / "sound.wav", progress=False)


@NETWORKS
def test_every_answer_is_drawn(module: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    _, net, image = traced(module, shape)
    unit = ",".join("1" for _ in shape[1:])
    answers = [
        net.maps(image, "0", dtype=torch.float64, progress=False),
        net.explain(image, f"3:z/1@{unit}"),
        net.contributions(image, "3/1"),
        net.project(image, f"3:z/1@{unit}", dtype=torch.float64, progress=False),
        net.project(image, ["3:z/0", "3:z/1"], dtype=torch.float64, progress=False),
        net.occlude(image, "3:z/1", 4, 8, dtype=torch.float64, progress=False),
    ]
    for number, answer in enumerate(answers):
        written = answer.save(tmp_path / f"{number}.png")
        assert all(path.stat().st_size > 1000 for path in written)
        assert str(answer)


def test_a_plane_is_chosen_or_said(tmp_path: Path) -> None:
    net = fm.trace(*VOLUME)
    volume = torch.zeros(1, *VOLUME[1])
    volume[0, 0, 5] = torch.rand(VOLUME[1][2:])
    maps = net.maps(volume, "0", progress=False)["0"]
    strongest = int(maps.values[0].amax((0, 2, 3)).argmax())
    (page,) = pictures_of(maps)
    assert f"plane {strongest} of 10, which holds the largest value" in page.info["Title"]
    assert "0:a, plane 2 of 10" in pictures_of(maps, plane=2)[0].info["Title"]
    with pytest.raises(OutputError) as raised:
        maps.save(tmp_path / "volume.png", plane=10)
    assert str(raised.value) == "There is no plane 10; the volume has 10 planes.\n\nChoose one from 0 to 9."
    with pytest.raises(OutputError, match="have no planes"):
        fm.trace(*SIGNAL).maps(torch.zeros(1, 2, 64), "0", progress=False)["0"].save(tmp_path / "x.png", plane=0)
