"""Batches: however the images are cut up, the values are those of one image after the other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.network.randomness import RandomInEvaluation
from featmap.run import batches
from featmap.run.batches import run_batches
from support.closeness import assert_close
from support.tiny_modules import conv, written

SHAPE = (3, 9, 8)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_every_cut_gives_the_same_values(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(batches, "batch_size", lambda _, count: min(size, count))
    module = network().eval()
    images = torch.randn(7, *SHAPE)
    maps = fm.trace(module, SHAPE).maps(images, ["0:conv", "0:a", "5:z"])
    with torch.no_grad():
        assert_close(maps["0:conv"].values, module[0](images))
        assert_close(maps["0:a"].values, module[:3](images))
        assert_close(maps["5:z"].values.flatten(1), module(images))


def test_the_progress_counts_images() -> None:
    seen: list[tuple[int, int]] = []
    net = fm.trace(network(), SHAPE)
    net.maps(torch.zeros(35, *SHAPE), "0:a", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(16, 35), (32, 35), (35, 35)]


def test_a_model_for_one_image_at_a_time_is_run_so() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        return self.c(x) + torch.zeros(len(x), 4, 9, 8)

    torch.manual_seed(0)
    module = written(forward, c=conv())
    images = torch.randn(5, *SHAPE)
    seen: list[int] = []
    maps = fm.trace(module, SHAPE).maps(images, "add", progress=lambda done, _: seen.append(done))
    assert seen == [1, 2, 3, 4, 5]
    with torch.no_grad():
        assert_close(maps["add"].values, module.c(images))


def test_a_number_for_every_image_is_kept_apart() -> None:
    torch.manual_seed(0)
    module = written(lambda self, x: self.c(x).mean(), c=conv())
    net = fm.trace(module, SHAPE)
    images = torch.randn(4, *SHAPE)
    with torch.no_grad():
        expected = torch.stack([module(image[None]) for image in images])
    assert_close(net.maps(images, "mean")["mean"].values.flatten(), expected)


def test_random_numbers_drawn_by_the_model_do_not_move_the_users_own() -> None:
    module = written(lambda self, x: nn.functional.dropout(self.c(x), 0.5, training=True), c=conv())
    net = fm.trace(module, SHAPE)
    before = torch.get_rng_state()
    net.maps(torch.randn(1, *SHAPE, generator=torch.Generator()), "c:conv")
    with pytest.warns(RandomInEvaluation):
        net.maps(torch.ones(3, *SHAPE), "dropout")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_values_lie_channels_last_and_are_no_views_of_the_batch() -> None:
    captured = fm.trace(network(), SHAPE)._captured
    node = captured.place("0:a").node
    value = run_batches(captured, torch.randn(20, *SHAPE), [node])[node]
    assert value.is_contiguous(memory_format=torch.channels_last)
    assert value.shape == (20, 4, 9, 8)
