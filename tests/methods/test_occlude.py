"""`net.occlude`: arguments, results, verification, pictures, files and refusals."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import FeatmapError, InputError, OutputError, SettingError
from featmap.run.program.program import Program
from support.live_memory import measured_peak_bytes
from support.occlusion_cases import (
    SHAPE,
    SqueezeExcite,
    assert_equals,
    assert_equals_full_runs,
    between,
    case_of,
    full_runs,
    zero,
)
from support.tiny_modules import conv, written

HEADED = case_of(
    nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), conv(4, 6), nn.ReLU(),
                  nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)),
    SHAPE,
)  # fmt: skip
MEANS = HEADED.image[0].mean((1, 2))[:, None, None]


def image_of(count: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn((count, *shape), dtype=torch.float64, generator=torch.Generator().manual_seed(count))


# What is asked


@pytest.mark.parametrize(
    ("baseline", "paint"),
    [
        (0, zero),
        (-1.5, lambda window: torch.full_like(window, -1.5)),
        ([0.5, -2.0, 1.0], lambda window: torch.tensor([0.5, -2.0, 1.0]).double()[:, None, None].expand_as(window)),
        ("mean", lambda window: MEANS.expand_as(window)),
        ("local", lambda window: window.mean((1, 2), keepdim=True).expand_as(window)),
    ],
)
@pytest.mark.parametrize("memory_bytes", [1, 2**28])
def test_baselines(baseline: Any, paint: Callable[[Tensor], Tensor], memory_bytes: int) -> None:
    assert_equals_full_runs(HEADED, 2, lambda y: y[0, 2], baseline=baseline, paint=paint, memory_bytes=memory_bytes)


@pytest.mark.parametrize(
    "baseline", [lambda image: image.flip(2) * 2, lambda image: functional.avg_pool2d(image, 5, 1, 2)]
)
def test_a_baseline_that_is_a_function(baseline: Callable[[Tensor], Tensor]) -> None:
    found = HEADED.net.occlude(HEADED.image, 1, (3, 4), 3, baseline, dtype=torch.float64, progress=False)
    picture, scores = baseline(HEADED.image[0]), np.empty(found.grid.shape)
    for row, line in enumerate(found.positions):
        for column, (top, left, bottom, right) in enumerate(line):
            changed = HEADED.image.clone()
            changed[0, :, top:bottom, left:right] = picture[:, top:bottom, left:right]
            scores[row, column] = HEADED.module(changed)[0, 1].item()
    assert_equals(found, scores)
    assert found.baseline == "a function of the image"


def test_a_window_over_all_with_the_images_own_values_changes_nothing() -> None:
    found = HEADED.net.occlude(HEADED.image, 1, SHAPE[1:], 1, lambda image: image, dtype=torch.float64, progress=False)
    assert found.grid.shape == (1, 1)
    assert abs(found.drop[0, 0]) <= 1e-12


@pytest.mark.parametrize("target", range(5))
def test_classes_and_probabilities(target: int) -> None:
    assert_equals_full_runs(HEADED, target, lambda y: y[0, target])
    assert_equals_full_runs(HEADED, str(target), lambda y: y.softmax(1)[0, target], scale="probability")


def test_the_predicted_class_is_that_of_each_image() -> None:
    # The class of an image is its brightest channel.
    asked = case_of(nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), SHAPE)
    images = image_of(6) + 5 * torch.eye(3).double()[[0, 1, 2, 0, 1, 2]][:, :, None, None]
    classes = asked.module(images).argmax(1).tolist()
    assert len(set(classes)) > 1
    found = asked.net.occlude(images, None, 4, 4, dtype=torch.float64, progress=False)
    assert [answer.target for answer in found] == [f"logit of class {number}" for number in classes]
    for image, number, answer in zip(images, classes, found, strict=True):
        assert_equals(answer, full_runs(asked.module, image[None], answer, lambda y, number=number: y[0, number]))


STAGES = {
    "0:conv": lambda m, x: m[0](x),
    "0:z": lambda m, x: m[1](m[0](x)),
    "0:a": lambda m, x: m[1](m[0](x)).relu(),
    "3": lambda m, x: functional.max_pool2d(m[1](m[0](x)).relu(), 2),
    "4:z": lambda m, x: m[4](functional.max_pool2d(m[1](m[0](x)).relu(), 2)),
}


@pytest.mark.parametrize("stage", STAGES)
def test_stages(stage: str) -> None:
    """z before the in-place ReLU, folded batch norms and pools between layers: all are what the module computes."""
    inner = nn.Module()
    inner.forward = lambda x: STAGES[stage](HEADED.module, x)  # type: ignore[method-assign]
    for target, read in [
        (f"{stage}/1", lambda y: y[0, 1].max()),
        (f"{stage}/3@2,4", lambda y: y[0, 3, 2, 4]),
        (f"{stage}/0@0,0", lambda y: y[0, 0, 0, 0]),
    ]:
        found = HEADED.net.occlude(HEADED.image, target, (3, 2), 3, dtype=torch.float64, progress=False)
        assert_equals(found, full_runs(inner, HEADED.image, found, read), target)


def test_several_heads_of_one_network() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        y = m.stem(x).relu_()
        return {"logits": m.head(y.mean((2, 3))), "maps": [m.mask(y), y.amax((2, 3))]}

    module = written(forward, stem=conv(3, 4), head=nn.Linear(4, 3), mask=conv(4, 2))
    asked = case_of(module, SHAPE)
    heads = {
        "['logits'][2]": lambda y: y["logits"][0, 2],
        "['maps'][0][1,5,6]": lambda y: y["maps"][0][0, 1, 5, 6],
        "['maps'][1][3]": lambda y: y["maps"][1][0, 3],
    }
    for target, read in heads.items():
        settings = {"window": 3, "stride": 4, "dtype": torch.float64, "progress": False}
        found = asked.net.occlude(asked.image, target, **settings)
        assert_equals(found, full_runs(asked.module, asked.image, found, read), target)


@pytest.mark.parametrize(
    ("head", "target", "read"),
    [
        (lambda y: y[0], (1, 2, 3), lambda y: y[1, 2, 3]),
        (lambda y: y.mean(), (), lambda y: y),
        (lambda y: y.mean((1, 2, 3)), None, lambda y: y[0]),
        (lambda y: y.mean((2, 3), keepdim=True), 1, lambda y: y[0, 1]),
        (lambda y: y.amax(3), (2, 5), lambda y: y[0, 2, 5]),
        (lambda y: y > 0, (2, 5, 1), lambda y: y[0, 2, 5, 1]),
        (lambda y: y.argmax(1), (5, 1), lambda y: y[0, 5, 1]),
        (lambda y: torch.fft.fft2(y).abs(), (1, 5, 1), lambda y: y[0, 1, 5, 1]),
        (lambda y: y.sum((-1, -2), keepdim=True), 2, lambda y: y[0, 2]),
        (lambda y: y.mean(-1).mean(-1), 2, lambda y: y[0, 2]),
        (lambda y: y.amax((2, 3)), 0, lambda y: y[0, 0]),
        (lambda y: y.std((2, 3)), 2, lambda y: y[0, 2]),
        (lambda y: y.flatten(2).mean(2), 2, lambda y: y[0, 2]),
        (lambda y: functional.avg_pool2d(y, (12, 11)).flatten(1), 2, lambda y: y[0, 2]),
        (lambda y: functional.adaptive_avg_pool2d(y, 1).flatten(1), 2, lambda y: y[0, 2]),
        (lambda y: functional.adaptive_avg_pool2d(y, (1, 3)).flatten(1), 7, lambda y: y[0, 7]),
        (lambda y: y.mean((2, 3)).softmax(1), 0, lambda y: y[0, 0]),
        (lambda y: y.flatten(1), 200, lambda y: y[0, 200]),
    ],
)
def test_heads_of_every_shape(head: Any, target: Any, read: Any) -> None:
    assert_equals_full_runs(case_of(Headed(head), SHAPE), target, read)


class Headed(nn.Module):
    """Two convolutions and a head."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.body, self.head = between(), head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class TwoSided(nn.Module):
    """An image and another of two channels, which is scaled by a number."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.other, self.head = conv(3, 4), conv(2, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor, other: Tensor, scale: Tensor) -> Any:
        seen = self.other(other).relu()
        mixed = self.stem(x).relu() + seen * scale
        return {"map": mixed, "logits": self.head(mixed.mean((2, 3))), "other": seen}


def test_networks_of_several_inputs_keep_the_captured_others() -> None:
    module = TwoSided().double().eval()
    image, other, scale = image_of(1), image_of(1, (2, *SHAPE[1:])), torch.tensor(2.0, dtype=torch.float64)
    net = fm.trace(module, inputs=(image, other, scale))
    bound = written(lambda _, x: module(x, other, scale))
    for target, read in [
        ("['logits'][2]", lambda y: y["logits"][0, 2]),
        ("['map'][1,2,3]", lambda y: y["map"][0, 1, 2, 3]),
    ]:
        found = net.occlude(image, target, 3, 4, verify=2, dtype=torch.float64, progress=False)
        assert_equals(found, full_runs(bound, image, found, read), target)
        assert found.verification is not None
        assert found.verification.relative <= 1e-12
    found = net.occlude(image, "['other'][1,2,3]", 3, 4, dtype=torch.float64, progress=False)
    assert not found.drop.any()
    assert found.recomputed_share == 0


def test_several_images_in_one_call() -> None:
    images = image_of(3)
    together = HEADED.net.occlude(images, 1, (3, 4), 4, "local", dtype=torch.float64, progress=False)
    assert [answer.image for answer in together] == ["image 0", "image 1", "image 2"]
    for image, answer in zip(images, together, strict=True):
        alone = HEADED.net.occlude(image, 1, (3, 4), 4, "local", dtype=torch.float64, progress=False)
        assert np.array_equal(alone.grid, answer.grid)
        assert alone.score == answer.score


def test_what_comes_back_is_a_list_where_a_list_went_in(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 11, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.png")
    net = fm.trace(copy.deepcopy(HEADED.module).float(), SHAPE)
    settings = {"window": 6, "stride": 6, "progress": False}
    for one in (picture, tmp_path / "a.png", str(tmp_path / "a.png"), np.asarray(picture), torch.zeros(SHAPE)):
        assert isinstance(net.occlude(one, 1, **settings).grid, np.ndarray)
    assert len(net.occlude([tmp_path / "a.png"], 1, **settings)) == 1
    assert len(net.occlude([picture, tmp_path / "a.png"], 1, **settings)) == 2
    assert len(net.occlude(torch.zeros(2, *SHAPE), 1, **settings)) == 2


def test_the_users_image_is_left_alone() -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        image = image_of(1).contiguous(memory_format=memory_format)
        before = image.clone()
        HEADED.net.occlude(image, "0:a/1@3,3", 3, 3, lambda own: own.mul_(2), dtype=torch.float64, progress=False)
        HEADED.net.occlude(image.requires_grad_(), 2, 3, 3, verify=2, dtype=torch.float64, progress=False)
        assert torch.equal(image.detach(), before)
        assert image.grad is None


# What comes back


def test_the_result_says_what_was_done() -> None:
    found = HEADED.net.occlude(HEADED.image, 2, (3, 4), (4, 3), "mean", dtype=torch.float64, progress=False)
    assert found.semantics == {
        "window": [3, 4],
        "stride": [4, 3],
        "edge_rule": "windows stay inside the image; the last one of each axis is aligned with the edge",
        "baseline": "the image's mean",
        "score": "logit of class 2",
        "drop": "score of the untouched image - score with the window",
        "region_ends": list(found.region_ends),
    }
    assert found.grid.dtype == np.float64
    assert np.array_equal(found.drop, found.score - found.grid)
    assert np.array(found.positions).shape == (4, 4, 4)
    assert found.positions[0][1] == [0, 3, 3, 7]
    assert found.positions[3][3] == [9, 7, 12, 11]
    assert 0 < found.recomputed_share < 1


def test_text() -> None:
    found = HEADED.net.occlude(HEADED.image, "0:z/1@2,3", 3, 4, dtype=torch.float64, progress=False)
    row, column = np.unravel_index(found.drop.argmax(), found.drop.shape)
    top, left, bottom, right = found.positions[row][column]
    assert str(found) == (
        f"OcclusionMap(0:z/1@2,3 of image 0: {found.score:.6g}; 12 windows of 3 x 3; largest drop "
        f"{found.drop.max():.4g} at rows {top}:{bottom}, columns {left}:{right}; "
        f"largest effect {np.abs(found.drop).max() / abs(found.score):.1%} of the score)"
    )
    assert found.to_dict()["relative_effect"] == pytest.approx(np.abs(found.drop).max() / abs(found.score))


def test_json() -> None:
    found = HEADED.net.occlude(HEADED.image, 2, (3, 4), (4, 3), verify=2, dtype=torch.float64, progress=False)
    document = json.loads(json.dumps(found.to_dict()))
    assert {"score", "grid", "drop", "positions", "semantics", "image", "target"} <= set(document)
    assert document["score"] == found.score
    assert np.array_equal(document["grid"], found.grid)
    assert np.array_equal(document["drop"], found.drop)
    assert document["positions"] == found.positions
    assert document["semantics"] == found.semantics
    assert document["image_size"] == [12, 11]
    assert document["verification"]["positions"] == 2
    assert HEADED.net.occlude(HEADED.image, 2, 4, 4, progress=False).to_dict()["verification"] is None


def test_verification_runs_in_full_and_in_float64() -> None:
    single = fm.trace(copy.deepcopy(HEADED.module).float(), SHAPE)
    found = single.occlude(HEADED.image.float(), 2, 3, 3, verify=5, progress=False)
    checked = found.verification
    assert checked is not None
    assert checked.positions == 5
    assert 0 < checked.relative < 1e-5
    everything = HEADED.net.occlude(HEADED.image, 2, 6, 6, verify=1000, dtype=torch.float64, progress=False)
    assert everything.verification is not None
    assert everything.verification.positions == everything.windows.count
    assert everything.verification.largest_difference <= 1e-12


def test_verification_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong number among the scores shows: the check is no formality."""
    from featmap.methods import occlude as module

    original = module._Occluding.grid

    def wrong(self: Any, progress: Any) -> Any:
        return original(self, progress) + 0.25

    monkeypatch.setattr(module._Occluding, "grid", wrong)
    found = HEADED.net.occlude(HEADED.image, 2, 3, 3, verify=3, dtype=torch.float64, progress=False)
    assert found.verification is not None
    assert found.verification.largest_difference == pytest.approx(0.25)


def test_saved_and_read_again(tmp_path: Path) -> None:
    found = HEADED.net.occlude(HEADED.image, 2, (3, 4), (4, 3), dtype=torch.float64, progress=False)
    assert found.save(tmp_path / "x.npz") == [tmp_path / "x.npz"]
    with np.load(tmp_path / "x.npz") as arrays:
        assert set(arrays) == {"score", "grid", "drop", "positions"}
        assert float(arrays["score"]) == found.score
        assert np.array_equal(arrays["grid"], found.grid)
        assert np.array_equal(arrays["drop"], found.drop)
        assert np.array_equal(arrays["positions"], found.positions)
    found.save(tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text())["grid"] == found.grid.tolist()
    found.save(tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text() == f"{found}\n"
    with pytest.raises(OutputError) as raised:
        found.save(tmp_path / "x.jpg")
    assert str(raised.value) == (
        f"'{tmp_path / 'x.jpg'}' ends in '.jpg'; an occlusion is written as .png, .npz, .json or .txt.\n\n"
        f"Use '{tmp_path / 'x.png'}'."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.npz", "x.txt"]


def test_the_picture_shows_where_the_score_falls_and_rises(tmp_path: Path) -> None:
    """Score: the sum of the left half less that of the right half of an image of ones."""
    sides = torch.cat([torch.ones(1, 1, 8, 4), -torch.ones(1, 1, 8, 4)], 3)
    net = fm.trace(written(lambda _, x: (x * sides).sum((2, 3))), (1, 8, 8))
    found = net.occlude(torch.ones(1, 1, 8, 8), 0, 2, 2, progress=False)
    assert found.drop.tolist() == [[4, 4, -4, -4]] * 4
    (page,) = found.pages()
    said = page.info["Description"]
    for words in ("logit of class 0", "window 2 x 2, stride 2 x 2, baseline 0", "red: the score falls, up to 4"):
        assert words in said
    found.save(tmp_path / "heat.png")
    with Image.open(tmp_path / "heat.png") as saved:
        # Above the colour bar, which runs from blue to red.
        pixels = np.asarray(saved.convert("RGB")).astype(int)[:500]
        assert saved.info["Title"] == page.info["Title"] == "occlusion of logit of class 0"
    reddish, bluish = (pixels[..., first] > pixels[..., second] + 30 for first, second in ((0, 2), (2, 0)))
    assert reddish.any()
    assert bluish.any()
    assert np.nonzero(reddish)[1].max() < np.nonzero(bluish)[1].min()


def test_a_picture_where_nothing_changes_says_so() -> None:
    net = fm.trace(written(lambda _, x: x.relu().sum((2, 3))), (5, 8, 9))
    page = net.occlude(-torch.ones(1, 5, 8, 9), 0, 2, 2, progress=False).show()
    assert "no window changes the score" in page.info["Description"]


def test_an_unknown_convention() -> None:
    found = HEADED.net.occlude(HEADED.image, 2, 6, 6, progress=False)
    with pytest.raises(SettingError) as raised:
        found.attribution("mean")
    assert str(raised.value) == "The convention 'mean' is unknown.\n\nUse 'captum'."


# How it runs


@pytest.mark.parametrize("memory_bytes", [1, 100_000, 2**28])
@pytest.mark.parametrize("target", [2, "0:a/1@3,3", "0:a/1"])
def test_progress_grows_to_the_number_of_windows_of_all_images(target: Any, memory_bytes: int) -> None:
    calls: list[tuple[int, int]] = []
    found = HEADED.net.occlude(
        image_of(2), target, 3, 3, memory_bytes=memory_bytes, progress=lambda done, total: calls.append((done, total))
    )
    total = sum(answer.windows.count for answer in found)
    assert {call[1] for call in calls} == {total}
    done = [call[0] for call in calls]
    assert done == sorted(set(done))
    assert done[-1] == total


def test_progress_of_a_question_that_costs_nothing() -> None:
    asked = case_of(nn.Sequential(nn.Conv2d(3, 2, 1, padding=2)), SHAPE)
    calls: list[tuple[int, int]] = []
    asked.net.occlude(asked.image, "0:z/0@0,0", 3, 3, progress=lambda *call: calls.append(call))
    assert calls == [(16, 16)]


def test_an_interrupt_in_the_middle_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before, random = torch.get_default_dtype(), torch.get_rng_state()

    def interrupt(done: int, total: int) -> None:
        if done > total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HEADED.net.occlude(HEADED.image, 2, 3, 3, memory_bytes=1, progress=interrupt)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == before
    assert torch.equal(torch.get_rng_state(), random)
    assert not list(tmp_path.iterdir())
    assert_equals_full_runs(HEADED, 2, lambda y: y[0, 2])


def test_nothing_behind_the_target_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run: set[str] = set()
    call = Program.call_step

    def recorded(self: Program, step: Any, *rest: Any) -> Any:
        run.add(step.node.base_name)
        return call(self, step, *rest)

    monkeypatch.setattr(Program, "call_step", recorded)
    HEADED.net.occlude(HEADED.image, "4:z/1", 3, 3, progress=False)
    assert run == {"conv2d", "relu", "max_pool2d"}


@pytest.mark.parametrize("behind", [nn.Identity(), SqueezeExcite(16)], ids=["regional", "whole"])
def test_memory_stays_within_its_budget(behind: nn.Module) -> None:
    """Many positions: with a budget the peak is a part of what one batch of all takes, whole maps included."""
    module = nn.Sequential(conv(3, 16), nn.ReLU(), conv(16, 16), behind, conv(16, 16), nn.ReLU(), conv(16, 2))
    asked = case_of(module, (3, 24, 24))
    net = asked.net
    settings = {"window": 3, "stride": 2, "progress": False, "dtype": torch.float64}
    ignored = [asked.image, *asked.module.parameters()]
    gc.disable()  # What is used no more must be gone at once, not when circles are looked for.
    try:
        peaks = {
            budget: measured_peak_bytes(
                lambda budget=budget: net.occlude(asked.image, f"{asked.output}/0", memory_bytes=budget, **settings),
                ignored,
            )
            for budget in (2**20, 2**21, 2**28)
        }
    finally:
        gc.enable()
    # The maps of the untouched image, once as they are and once as tables of places, come on top of the budget.
    one_image = 2 * 6 * 16 * 24 * 24 * 8
    assert peaks[2**20] <= 2**20 + one_image
    assert peaks[2**21] <= 2**21 + one_image
    assert peaks[2**28] > 2**21 + one_image


# What cannot be asked


@pytest.mark.parametrize(
    ("asked", "kind", "text"),
    [
        (
            {"window": 13},
            SettingError,
            "A window of 13 x 13 (rows x columns) does not fit into an image of 12 x 11.\n\n"
            "Use a window of at most 12 x 11.",
        ),
        (
            {"stride": 0},
            SettingError,
            "stride 0 is not a size in pixels.\n\nGive a whole number from 1 on, or (rows, columns): stride=16.",
        ),
        ({"target": 5}, InputError, "There is no class 5; Sequential has 5.\n\nAsk for a class from 0 to 4."),
        (
            {"baseline": [0, 1]},
            SettingError,
            "The baseline has 2 values; the image has 3 channels.\n\nGive one number, or 3.",
        ),
        ({"verify": -1}, SettingError, "verify is -1.\n\nGive the number of positions to compute again, from 0 on."),
        (
            {"image": torch.zeros(1, 4, 12, 11)},
            InputError,
            "Sequential takes tensors (image, channel, row, column) with 3 channels; got (1, 4, 12, 11).\n\n"
            "Put the axes of the tensor into this order.",
        ),
    ],
)
def test_questions_that_are_refused(asked: dict[str, Any], kind: type[FeatmapError], text: str) -> None:
    settings = {"image": HEADED.image, "target": 1, "window": 3, "stride": 3, "progress": False, **asked}
    with pytest.raises(kind) as raised:
        HEADED.net.occlude(settings.pop("image"), **settings)
    assert str(raised.value) == text


def test_networks_that_take_no_images() -> None:
    net = fm.trace(nn.Sequential(nn.Linear(20, 2), nn.ReLU()), (3, 20))
    with pytest.raises(InputError) as raised:
        net.occlude(torch.zeros(1, 3, 20), "0/1", 3, 3)
    assert str(raised.value) == (
        "Sequential takes inputs of shape 3 x 20, which are not images.\n\n"
        "A window slides over pictures, signals and volumes; ask a network with convolutions or pools."
    )


def test_a_maximum_over_padding_alone_stays_infinite_without_a_warning() -> None:
    pool = nn.MaxPool2d((2, 2), padding=(1, 1), dilation=(9, 9), stride=1)
    net = fm.trace(nn.Sequential(nn.Conv2d(1, 1, 1), pool), (1, 8, 8))
    found = net.occlude(torch.ones(1, 1, 8, 8), "1:a/0@0,0", window=4, stride=4, progress=False)
    assert found.score == -float("inf")
    assert not found.drop.any()
    assert "OcclusionMap" in repr(found)
