"""Projections: the paper's definition as oracle, starts and targets, descriptions in results, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import (
    AddressError,
    FeatmapError,
    ImagesNeeded,
    InputError,
    NoSuchChannel,
    NoSuchStage,
    SettingError,
    UnitOutOfRange,
)
from featmap.methods.shared.projection import Projection
from featmap.testing.oracles import deconvnet_of_chain
from support.occlusion_cases import Case, case_of
from support.projection_cases import assert_close, expected
from support.tiny_modules import conv, written

SHAPE = (3, 22, 19)
ASKED: dict[str, Any] = {"dtype": torch.float64, "progress": False}


def chain() -> nn.Sequential:
    """Overlapping pools, strides, dilation, groups: all that the paper's networks have, and more."""
    return nn.Sequential(
        conv(3, 6),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2),
        nn.ReLU(),
        nn.Conv2d(8, 5, (2, 3), dilation=(1, 2), padding=(1, 2)),
        nn.ReLU(),
    )


@pytest.fixture(scope="module")
def plain() -> Case:
    return case_of(chain(), SHAPE)


@pytest.mark.parametrize("unit", [(0, 0, 0), (4, 2, 3), (2, 5, 4), (1, 3, 0)])
def test_a_chain_is_projected_as_the_paper_says(plain: Case, unit: tuple[int, int, int]) -> None:
    layers = list(plain.module)  # type: ignore[arg-type]
    with torch.no_grad():
        value = float(plain.module(plain.image)[(0, *unit)])
    projection = deconvnet_of_chain(layers, plain.image, unit, value)
    found = plain.net.project(plain.image, f"5:a/{unit[0]}@{unit[1]},{unit[2]}", **ASKED)
    assert_close(found, projection, value)


def strongest(made: Case) -> tuple[int, ...]:
    with torch.no_grad():
        maps = made.module(made.image)[0]
    return tuple(int(place) for place in np.unravel_index(int(maps.argmax()), maps.shape))


def test_the_oracle_tells_rules_apart(plain: Case) -> None:
    projections = [
        expected(plain.net, plain.image, "5:a", strongest(plain), rule)[1] for rule in ("gradient", "deconvnet")
    ]
    assert float((projections[0] - projections[1]).abs().max()) > 0.01 * float(projections[0].abs().max())


def test_a_map_is_projected_from_its_strongest_unit(plain: Case) -> None:
    with torch.no_grad():
        maps = plain.module(plain.image)[0]
    row, column = divmod(int(maps[2].argmax()), maps.shape[2])
    found = plain.net.project(plain.image, "5:a/2", **ASKED)
    assert (found.target, found.unit) == (f"5:a/2@{row},{column}", (row, column))
    assert found.value == pytest.approx(float(maps[2].max()), rel=1e-12)
    named = plain.net.project(plain.image, f"5:a/2@{row},{column}", **ASKED)
    assert torch.equal(named.values, found.values)


def test_a_layer_is_projected_map_by_map(plain: Case) -> None:
    every = plain.net.project(plain.image, "5:a", **ASKED)
    assert [projection.target.partition("@")[0] for projection in every] == [f"5:a/{c}" for c in range(5)]
    for channel, projection in enumerate(every):
        alone = plain.net.project(plain.image, f"5:a/{channel}", **ASKED)
        assert_close(projection, alone.on_image(), alone.value, 1e-12)


def test_the_gradient_of_a_whole_map_is_the_sum_over_its_units(plain: Case) -> None:
    with torch.no_grad():
        maps = plain.module(plain.image)[0]
    whole = plain.net.project(plain.image, "5:a/2", "gradient", whole=True, **ASKED)
    places = [(row, column) for row in range(maps.shape[1]) for column in range(maps.shape[2])]
    units = plain.net.project(plain.image, [f"5:a/2@{r},{c}" for r, c in places], "gradient", **ASKED)
    total = torch.stack([unit.on_image() for unit in units]).sum(0)
    assert_close(whole, total, float(maps[2].max()))
    assert (whole.target, whole.unit, whole.box) == ("all of 5:a/2", None, fm.geometry.Box(0, 0, 22, 19))


def test_a_start_of_one_is_the_start_from_the_value_divided_by_it(plain: Case) -> None:
    by_value = plain.net.project(plain.image, "5:a/2", **ASKED)
    by_one = plain.net.project(plain.image, "5:a/2", start="one", **ASKED)
    assert (by_value.started_from, by_one.started_from) == (by_value.value, 1.0)
    torch.testing.assert_close(by_one.values * by_value.value, by_value.values)


def test_before_the_nonlinearity_a_start_is_rectified_unless_it_is_a_gradient(plain: Case) -> None:
    maps = plain.net.maps(plain.image, ["5:z"], dtype=torch.float64)["5:z"].values[0]
    channel, place = divmod(int(maps.flatten().argmin()), maps[0].numel())
    row, column = divmod(place, maps.shape[2])
    unit = f"5:z/{channel}@{row},{column}"
    deconvnet, gradient = (plain.net.project(plain.image, unit, rule, **ASKED) for rule in ("deconvnet", "gradient"))
    assert deconvnet.value == gradient.value == gradient.started_from < 0
    assert (deconvnet.started_from, float(deconvnet.values.abs().max())) == (0.0, 0.0)
    assert float(gradient.values.abs().max()) > 0


def test_normalisations_scale_or_are_skipped() -> None:
    made = case_of(nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU()), SHAPE)
    unit, norm = (1, 4, 4), made.module[1]  # type: ignore[index]
    address = "0:a/1@4,4"
    scale = (norm.weight[1] / (norm.running_var[1] + norm.eps).sqrt()).item()
    scaled = made.net.project(made.image, address, "deconvnet", "one", "scale", **ASKED)
    skipped = made.net.project(made.image, address, "deconvnet", "one", "skip", **ASKED)
    torch.testing.assert_close(scaled.values, skipped.values * scale)
    value, whole = expected(made.net, made.image, "0:a", unit, "deconvnet")
    assert_close(made.net.project(made.image, address, **ASKED), whole, value)


def test_other_nonlinearities_take_the_gradient_and_the_result_says_which() -> None:
    made = case_of(nn.Sequential(conv(3, 4), nn.SiLU(), conv(4, 4), nn.ReLU6(), conv(4, 4), nn.GELU()), SHAPE)
    found = made.net.project(made.image, "4/2@3,3", "guided", **ASKED)
    assert found.through_gradient == ("gelu", "silu")
    assert found.semantics["through_gradient"] == ["gelu", "silu"]
    value, whole = expected(made.net, made.image, "4:a", (2, 3, 3), "guided")
    assert_close(found, whole, value)


@pytest.mark.parametrize(
    "rectify",
    [
        torch.relu,
        functional.relu6,
        lambda x: functional.hardtanh(x, 0.0, 2.0),
        lambda x: x.clamp(min=0),
        lambda x: x.clamp(0, 1.5),
        lambda x: x.clamp_min(0),
        lambda x: x.clip(min=0),
        lambda x: torch.clip(x, 0, 2),
        lambda x: torch.threshold(x, 0, 0),
        lambda x: x.clone().relu_(),
    ],
)
@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
def test_every_rectifier(rectify: Any, rule: str) -> None:
    made = case_of(written(lambda m, x: m.last(rectify(m.first(x))), first=conv(3, 4), last=conv(4, 4)), SHAPE)
    found = made.net.project(made.image, "last:z/2@3,3", rule, "one", **ASKED)
    assert found.through_gradient == ()
    value, whole = expected(made.net, made.image, "last:z", (2, 3, 3), rule)
    started = max(value, 0.0) if rule != "gradient" else value
    if started:
        assert_close(found, whole / started, value)


def with_head() -> Case:
    return case_of(nn.Sequential(chain(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4)), SHAPE)


@pytest.mark.parametrize("scale_of_start", ["one", "value"])
def test_a_class(scale_of_start: Any) -> None:
    made = with_head()
    given = made.image.clone().requires_grad_()
    score = made.module(given)[0, 2]
    (gradient,) = torch.autograd.grad(score, given)
    found = made.net.project(made.image, 2, "gradient", scale_of_start, **ASKED)
    factor = 1.0 if scale_of_start == "one" else float(score.detach())
    assert_close(found, gradient[0] * factor, float(score.detach()))
    assert found.target == "logit of class 2"


def test_the_predicted_class_and_a_place_of_the_output() -> None:
    made = with_head()
    with torch.no_grad():
        best = int(made.module(made.image).argmax())
    found = made.net.project(made.image, **ASKED)
    assert found.target == f"logit of class {best}"
    named = made.net.project(made.image, (best,), **ASKED)
    assert_close(named, found.on_image(), found.value, 1e-12)


def test_units_of_a_vector() -> None:
    made = with_head()
    by_address = made.net.project(made.image, "3:z/2@0,0", "gradient", **ASKED)
    assert_close(by_address, made.net.project(made.image, 2, "gradient", **ASKED).on_image(), by_address.value, 1e-12)


def test_several_images(plain: Case) -> None:
    images = torch.cat([plain.image, plain.image * 0.5 + 0.1])
    found = plain.net.project(images, "5:a/2@2,3", **ASKED)
    assert [projection.image for projection in found] == ["image 0", "image 1"]
    for number, projection in enumerate(found):
        alone = plain.net.project(images[number : number + 1], "5:a/2@2,3", **ASKED)
        assert_close(projection, alone.on_image(), alone.value, 1e-12)


def test_a_value_that_is_read_twice() -> None:
    """Both ways of one tensor: neither may write into what the other still needs."""

    def forward(m: Any, x: Tensor) -> Tensor:
        y = torch.relu(m.first(x))
        return m.last(y + y + m.other(y))

    made = case_of(written(forward, first=conv(3, 4), other=conv(4, 4), last=conv(4, 3)), SHAPE)
    for rule in ("deconvnet", "guided", "gradient"):
        found = made.net.project(made.image, ["last:z/0@3,3", "last:z/2@0,18"], rule, **ASKED)
        for projection, unit in zip(found, [(0, 3, 3), (2, 0, 18)], strict=True):
            value, whole = expected(made.net, made.image, "last:z", unit, rule)
            assert_close(projection, whole, value)


def test_the_box_is_the_receptive_field(plain: Case) -> None:
    for unit in ("5:a/2@2,3", "5:a/2@0,0", "5:a/2@5,4"):
        found = plain.net.project(plain.image, unit, **ASKED)
        answer = plain.net.receptive_field(unit)
        assert found.box == answer.box
        assert found.field.clip(22, 19) == found.box
    assert not found.on_image()[:, : found.box.top].any()


MISTAKES: dict[str, tuple[Any, dict[str, Any], type[FeatmapError], str]] = {
    "a unit outside the map": ("5:a/2@40,3", {}, UnitOutOfRange, "there is no unit at row 40, column 3"),
    "a stage the layer lacks": ("2:z/0", {}, FeatmapError, "'2' is"),
    "no such map": ("5:a/9", {}, NoSuchChannel, "9"),
    "an unknown rule": ("5:a/2", {"rule": "saliency"}, SettingError, "rule 'saliency' is unknown"),
    "an unknown start": ("5:a/2", {"start": "two"}, SettingError, "start 'two' is unknown"),
    "an unknown norm": ("5:a/2", {"norm": "off"}, SettingError, "norm 'off' is unknown"),
    "all of a unit": ("5:a/2@1,1", {"whole": True}, SettingError, "is one unit"),
    "all of a score": ((1, 1, 1), {"whole": True}, SettingError, "a score has no positions"),
    "a list of numbers and addresses": (["5:a/1", 3], {}, InputError, "is not a list of units and maps"),
    "an empty list": ([], {}, InputError, "is not a list of units and maps"),
    "whole numbers": ("5:a/1", {"dtype": torch.int32}, SettingError, "has no fractions"),
    "several layers": (["5:a/1", "3:a/1"], {}, AddressError, "units of one layer"),
    "a class of a network of maps": (3, {}, InputError, "does not return one score per class"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors(plain: Case, mistake: str) -> None:
    target, options, kind, words = MISTAKES[mistake]
    with pytest.raises(kind) as raised:
        plain.net.project(plain.image, target, progress=False, **options)
    assert words in str(raised.value)


def test_a_stage_that_a_layer_lacks_says_what_to_ask_for() -> None:
    block = nn.Sequential(conv(3, 4), nn.ReLU())
    made = case_of(
        written(lambda m, x: torch.relu(m.last(m.block(x)) + m.block(x)), block=block, last=conv(4, 4)), SHAPE
    )
    with pytest.raises(NoSuchStage, match="last"):
        made.net.project(made.image, "last:a/2@3,3")


def test_a_sheet_is_what_all_maps_say(plain: Case) -> None:
    images = torch.randn(7, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    images[5] = images[2]  # a tie: the first image comes first
    sheet = plain.net.sheet(images, "5", channels=[3, 0], k=4, **ASKED)
    with torch.no_grad():
        maps = plain.module(images)
    assert list(sheet.examples) == [3, 0]
    for channel, examples in sheet.examples.items():
        best = maps[:, channel].flatten(1).max(dim=1)
        excited = [number for number in range(7) if best.values[number] > 0]
        order = sorted(excited, key=lambda number: (-float(best.values[number]), number))[:4]
        assert [example.image for example in examples] == [f"image {number}" for number in order]
        for number, example in zip(order, examples, strict=True):
            assert example.value == pytest.approx(float(best.values[number]), rel=1e-12)
            assert example.unit == divmod(int(best.indices[number]), maps.shape[3])
            address = f"5:a/{channel}@{example.unit[0]},{example.unit[1]}"
            alone: Projection = plain.net.project(images[number : number + 1], address, **ASKED)
            assert (example.box, example.field) == (alone.box, alone.field)
            np.testing.assert_allclose(example.values, alone.values.numpy(), atol=1e-6)
            assert example.crop.size == (example.box.width, example.box.height)


def test_a_sheet_needs_images_and_says_so(plain: Case) -> None:
    with pytest.raises(ImagesNeeded) as raised:
        plain.net.sheet(None, "5")
    assert str(raised.value) == (
        "The maps of '5' respond to something only where there are images.\n\n"
        "Give images: a folder, a list of paths, or a float tensor (image, channel, row, column)."
    )
    for options, kind in (({"k": 0}, SettingError), ({"channels": [5]}, NoSuchChannel), ({"rule": "x"}, SettingError)):
        with pytest.raises(kind):
            plain.net.sheet(torch.zeros(2, *SHAPE), "5", progress=False, **options)


def test_results_are_plain_data_and_pictures(plain: Case, tmp_path: Any) -> None:
    found = plain.net.project(plain.image, "5:a/2@0,0", progress=False)
    document = found.to_dict()
    assert document["box"] == [0, 0, found.box.bottom, found.box.right]
    assert document["field"][0] < 0
    assert found.show().size[0] > 300
    for name in ("x.png", "x.npz", "x.json", "x.txt"):
        (path,) = found.save(tmp_path / name)
        assert path.stat().st_size > 0
    arrays = np.load(tmp_path / "x.npz")
    np.testing.assert_array_equal(arrays["5:a/2@0,0"], found.values.numpy())
    assert arrays["5:a/2@0,0 box"].tolist() == document["box"]
    sheet = plain.net.sheet(torch.rand(3, *SHAPE), "5", k=2, progress=False)
    assert all(len(entry["examples"]) <= 2 for entry in sheet.to_dict()["maps"])
    assert len(sheet.save(tmp_path / "s.png", page_size=2)) == 3


def test_memory_decides_batches_not_answers(plain: Case) -> None:
    asked = [f"5:a/{c}@{r},2" for c in range(3) for r in range(3)]
    one_by_one = plain.net.project(plain.image, asked, memory_bytes=1, **ASKED)
    at_once = plain.net.project(plain.image, asked, **ASKED)
    for first, second in zip(one_by_one, at_once, strict=True):
        assert_close(first, second.on_image(), second.value, 1e-12)


WRONG_SHEETS: dict[str, tuple[Any, Any, dict[str, Any], type[FeatmapError]]] = {
    "a unit": (torch.rand(2, *SHAPE), "5:a/1@2,2", {}, AddressError),
    "a map and a list of maps": (torch.rand(2, *SHAPE), "5:a/1", {"channels": [2]}, AddressError),
    "no map": (torch.rand(2, *SHAPE), "5:a", {"channels": []}, NoSuchChannel),
    "fractions of maps": (torch.rand(2, *SHAPE), "5:a", {"channels": [1.5]}, SettingError),
    "half an image": (torch.rand(2, *SHAPE), "5:a", {"k": 1.5}, SettingError),
    "no numbers": (torch.full((2, *SHAPE), float("nan")), "5:a", {}, InputError),
    "images of two sizes": ([torch.rand(*SHAPE), torch.rand(3, 30, 30)], "5:a", {}, InputError),
}


@pytest.mark.parametrize("mistake", WRONG_SHEETS)
def test_wrong_sheets(plain: Case, mistake: str) -> None:
    images, layer, options, kind = WRONG_SHEETS[mistake]
    with pytest.raises(kind):
        plain.net.sheet(images, layer, progress=False, **options)


def test_a_list_of_batches_is_all_their_images(plain: Case) -> None:
    images = torch.rand(5, *SHAPE)
    whole = plain.net.sheet(images, "5:a", channels=np.arange(3), k=5, progress=False)
    parts = plain.net.sheet([images[:2], images[2], images[3:]], "5:a", channels=range(3), k=5, progress=False)
    assert whole.to_dict() == parts.to_dict()


def test_what_is_neither_linear_nor_a_rectifier_is_named() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = torch.maximum(m.first(x), torch.zeros(()).double()) * 2 / 3
        z = torch.where(y > 1, y, y * y)
        return m.last(functional.softmax(functional.max_pool2d(functional.pad(z, (1, 1)), 2).mean((2, 3), True) + z, 1))

    made = case_of(written(forward, first=conv(3, 4), last=conv(4, 3)), SHAPE)
    found = made.net.project(made.image, "last:z/1@3,3", "gradient", **ASKED)
    assert found.through_gradient == ("gt", "maximum", "mul", "softmax", "where")
    value, whole = expected(made.net, made.image, "last:z", (1, 3, 3), "gradient")
    assert_close(found, whole, value)


def test_a_negative_score_says_that_it_is_negative() -> None:
    made = with_head()
    scores = made.module(made.image)[0].tolist()
    for number, score in enumerate(scores):
        semantics = made.net.project(made.image, number, **ASKED).semantics
        assert ("speaks against" in semantics["sign"]) == (score < 0)
    with torch.inference_mode():
        assert made.net.project(made.image, 1, **ASKED).value == pytest.approx(scores[1], rel=1e-9)


def test_a_unit_that_sees_only_padding_is_drawn_as_such() -> None:
    made = case_of(nn.Sequential(nn.Conv2d(3, 4, 1, padding=3), nn.ReLU()), (3, 8, 9))
    found = made.net.project(made.image, "0/1@0,0", progress=False)
    assert found.box.is_empty
    assert not found.on_image().any()
    assert "nothing but padding" in found.show().info["Description"]
