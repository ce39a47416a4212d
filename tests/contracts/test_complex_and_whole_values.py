"""Values that are no real numbers: complex ones count by their magnitude at every door, whole ones as real ones."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import InputError, NoSuchStage, OtherIndex
from featmap.index.schema.same import check_same
from featmap.index.schema.wish import Wish
from featmap.result import pictures_of

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(5)) - 0.5


class Last(nn.Module):
    """A convolution, and a function of its maps."""

    def __init__(self, last: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x))


COMPLEX: dict[str, Callable[[Tensor], Tensor]] = {
    "fft_rfft2": torch.fft.rfft2,
    "fft_fft": torch.fft.fft,
    "complex": lambda y: torch.complex(y, y.square() - 0.2),
}
WHOLE: dict[str, Callable[[Tensor], Tensor]] = {
    "argmax": lambda y: y.argmax(1, keepdim=True),
    "gt": lambda y: y > 0,
    "_to_copy": lambda y: (3 * y).to(torch.int8),
}
EVERY = {**COMPLEX, **WHOLE}


def traced(name: str) -> tuple[fm.Network, str, nn.Module]:
    module = Last(EVERY[name]).eval()
    net = fm.trace(module, (3, 8, 8))
    return net, list(net.plan())[-1].address, module


@torch.no_grad()
def numbers(module: nn.Module, images: Tensor) -> Tensor:
    """What the rule measures of the module's value."""
    value = module(images)
    return value.abs() if value.is_complex() else value.double()


@pytest.fixture(params=COMPLEX)
def complex_net(request: pytest.FixtureRequest) -> tuple[fm.Network, str, nn.Module]:
    return traced(request.param)


@pytest.fixture(params=EVERY)
def any_net(request: pytest.FixtureRequest) -> tuple[fm.Network, str, nn.Module]:
    return traced(request.param)


def test_maps_say_that_they_show_magnitudes(complex_net: tuple[fm.Network, str, nn.Module]) -> None:
    net, address, module = complex_net
    (maps,) = net.maps(IMAGES[:1], address).values()
    assert torch.allclose(maps.values, module(IMAGES[:1]))
    assert f"magnitudes, of complex values: {address}:a" in str(maps)
    (page,) = pictures_of(maps)
    assert page.info["Title"] == f"magnitudes of {address}:a"


def windows() -> Iterator[tuple[int, int, Tensor]]:
    for row in range(2):
        for column in range(2):
            changed = IMAGES[:1].clone()
            changed[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
            yield row, column, changed


@pytest.mark.parametrize("activity", ["maximum", "mean", "sum"])
def test_occlusions_of_maps(any_net: tuple[fm.Network, str, nn.Module], activity: str) -> None:
    net, address, module = any_net
    found = net.occlude(IMAGES[:1], f"{address}/0", 4, 4, activity=activity, verify=2)
    reduced = {"maximum": Tensor.max, "mean": Tensor.mean, "sum": Tensor.sum}[activity]
    assert found.score == pytest.approx(float(reduced(numbers(module, IMAGES[:1])[0, 0])), rel=1e-5)
    for row, column, changed in windows():
        assert found.grid[row, column] == pytest.approx(float(reduced(numbers(module, changed)[0, 0])), rel=1e-5)
    assert found.verification.relative < 1e-5
    assert ("magnitudes of" in found.target) == module(IMAGES).is_complex()


@pytest.mark.parametrize("target", ["{}/0@2,3", "[0,2,3]"])
def test_occlusions_of_units_and_places(any_net: tuple[fm.Network, str, nn.Module], target: str) -> None:
    net, address, module = any_net
    found = net.occlude(IMAGES[:1], target.format(address), 4, 4, verify=2)
    assert found.score == pytest.approx(float(numbers(module, IMAGES[:1])[0, 0, 2, 3]), rel=1e-5)
    for row, column, changed in windows():
        expected = float(numbers(module, changed)[0, 0, 2, 3])
        assert found.grid[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found.target.startswith("magnitude of") == module(IMAGES).is_complex()


@pytest.mark.parametrize("start", ["value", "one"])
@pytest.mark.parametrize("target", ["{}/1@2,3", "{}/1", "[1,2,3]", "whole"])
def test_gradients_of_magnitudes_are_those_of_torch(
    complex_net: tuple[fm.Network, str, nn.Module], target: str, start: str
) -> None:
    net, address, module = complex_net
    whole, named = target == "whole", f"{address}/1" if target == "whole" else target.format(address)
    found = net.project(IMAGES[:1], named, "gradient", start, whole=whole)
    image = IMAGES[:1].clone().requires_grad_()
    magnitudes = module(image).abs()[0, 1]
    seed = torch.zeros_like(magnitudes)
    if whole:
        seed[:] = 1
    elif target == "{}/1":
        seed.view(-1)[magnitudes.argmax()] = 1
    else:
        seed[2, 3] = 1
    if start == "value":
        seed = seed * magnitudes.detach()
    (expected,) = torch.autograd.grad(magnitudes, image, seed)
    assert torch.allclose(found.on_image(), expected[0], rtol=1e-4, atol=1e-5)
    assert "magnitude" in found.target
    assert not found.on_image().is_complex()
    if not whole:
        assert found.value == pytest.approx(float(magnitudes.detach()[seed != 0]), rel=1e-5)
        assert found.started_from == pytest.approx(found.value if start == "value" else 1.0)


def test_sheets_rank_by_magnitude(complex_net: tuple[fm.Network, str, nn.Module]) -> None:
    net, address, module = complex_net
    sheet = net.sheet(IMAGES, address, k=2, rule="gradient")
    peaks = numbers(module, IMAGES).flatten(2).amax(2)
    for channel, examples in sheet.examples.items():
        assert [e.value for e in examples] == pytest.approx(peaks[:, channel].sort(descending=True)[0][:2].tolist())
        number = int(peaks[:, channel].argmax())
        alone = net.project(IMAGES[number : number + 1], f"{address}/{channel}", "gradient")
        assert np.allclose(examples[0].values, alone.values.numpy(), rtol=1e-4, atol=1e-5)
    assert f"magnitudes of {address}:a" in str(sheet)
    assert sheet.to_dict()["numbers_of"] == "magnitudes"
    assert pictures_of(sheet)[0].info["Title"] == f"what magnitudes of {address}:a responds to"


def test_an_index_measures_what_the_maps_show(any_net: tuple[fm.Network, str, nn.Module], tmp_path: Path) -> None:
    net, address, module = any_net
    labelled = [(image, "ab"[at % 2]) for at, image in enumerate(IMAGES)]
    index = fm.Index.build(net, labelled, tmp_path / "x.fmi", layers=[address], full=[address])
    expected = numbers(module, IMAGES)
    flat = expected.flatten(2)
    top = index.top(f"{address}/0", 3)
    order = sorted(range(4), key=lambda at: -float(flat[at, 0].max()))
    assert [e.number for e in top.examples] == order[:3]
    assert [e.value for e in top.examples] == pytest.approx([float(flat[at, 0].max()) for at in order[:3]], rel=1e-5)
    columns = expected.shape[3]
    assert [e.unit for e in top.examples] == [divmod(int(flat[at, 0].argmax()), columns) for at in order[:3]]
    whole = index.distribution(f"{address}/0")
    assert whole.mean == pytest.approx(float(expected[:, 0].mean()), rel=1e-5)
    assert whole.minimum == pytest.approx(float(expected[:, 0].min()), rel=1e-5)
    answers = (
        index.summary(),
        top,
        index.top_sheet(address),
        whole,
        index.audit(),
        index.selectivity(address),
        index.similar(0, address),
    )
    is_complex = module(IMAGES).is_complex()
    assert [("magnitudes" in str(answer)) for answer in answers] == [is_complex] * len(answers)
    assert [("magnitudes" in str(answer.to_dict())) for answer in answers[:5]] == [is_complex] * 5
    assert index.verify(net=net).is_sound


def test_an_index_of_real_parts_is_not_gone_on_with(tmp_path: Path) -> None:
    net, address, _ = traced("fft_rfft2")
    index = fm.Index.build(net, IMAGES[:1], tmp_path / "x.fmi", layers=[address])
    layers = tuple(replace(layer, magnitudes=None) for layer in index.description.layers)
    old = replace(index.description, layers=layers)
    check_same(index.description, net._captured, Wish(), index.path)
    with pytest.raises(OtherIndex, match="real parts alone"):
        check_same(old, net._captured, Wish(), index.path)


@pytest.mark.parametrize("target", [0, None])
def test_no_class_has_a_complex_score(target: int | None) -> None:
    net = fm.trace(Last(lambda y: torch.fft.fft(y.mean((2, 3)))), (3, 8, 8))
    for asked in (net.occlude, net.project):
        with pytest.raises(InputError, match="no order") as found:
            asked(IMAGES[:1], target)
        assert "'[3]'" in found.value.remedy
    assert net.occlude(IMAGES[:1], "[3]", 4, 4).target == "magnitude of output [3]"


def test_classes_of_whole_numbers() -> None:
    module = Last(lambda y: (9 * y.mean((2, 3))).long()).eval()
    net = fm.trace(module, (3, 8, 8))
    logits = module(IMAGES[:1])[0].double()
    assert net.occlude(IMAGES[:1], None, 4, 4).score == float(logits.max())
    found = net.occlude(IMAGES[:1], 1, 4, 4, scale="probability")
    assert found.score == pytest.approx(float(logits.softmax(0)[1]))


def test_a_sum_of_half_precision_may_exceed_it() -> None:
    module = Last(lambda y: y.abs() + 30000).half().eval()
    net = fm.trace(module, (3, 8, 8))
    found = net.occlude(IMAGES[:1].half(), "add/0", 4, 4, activity="sum")
    assert found.score == pytest.approx(float(numbers(module, IMAGES[:1].half())[0, 0].double().sum()))


def test_what_is_made_of_complex_weights_is_not_taken_apart() -> None:
    conv = nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.complex64))
    images = IMAGES[:1].to(torch.complex64)
    net = fm.trace(conv, inputs=images)
    for asked, address in ((net.explain, "0/1@1,1"), (net.contributions, "0/1")):
        with pytest.raises(NoSuchStage, match="complex numbers"):
            asked(images, address)
    with pytest.raises(InputError, match="complex numbers"):
        net.project(images, "0/1")
    with pytest.raises(InputError, match="complex numbers"):
        net.sheet(images, "0")
    found = net.occlude(images, "0/1@1,1", 4, 4)
    assert found.score == pytest.approx(float(numbers(conv, images)[0, 1, 1, 1]))
