"""Training learns, repeats itself, is kept and reused, and leaves nothing behind when it is interrupted."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import featmap as fm
from featmap.demo import train as module
from featmap.demo.crops import PHOTOGRAPHS, crops
from featmap.demo.kept import RECORD_NAME, WEIGHTS_NAME
from featmap.demo.network import initialised
from featmap.demo.samples import normalised, samples
from featmap.demo.train import Settings, TrainedNetwork, demo_network, train, trained_network

TINY = Settings(training_crops=4, test_crops=2, epochs=1, batch_size=16)
SHORT = Settings(training_crops=24, test_crops=10, epochs=2, batch_size=16)
SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    return trained_network(tmp_path_factory.mktemp("short"), SHORT)


def test_short_training_is_above_chance(short: TrainedNetwork) -> None:
    assert short.record.chance == pytest.approx(1 / 12)
    assert short.record.accuracy > 2 * short.record.chance


def test_record_says_how(short: TrainedNetwork) -> None:
    assert short.record.classes == PHOTOGRAPHS
    assert short.record.test_crops == 120
    assert short.record.settings_digest == SHORT.digest
    assert short.weights.name == WEIGHTS_NAME
    assert not short.module.training


def test_network_takes_images_of_other_sizes(short: TrainedNetwork) -> None:
    with torch.inference_mode():
        assert short.module(torch.zeros(2, 3, 100, 37)).shape == (2, 12)


def test_same_settings_same_weights() -> None:
    (one, _), (other, _) = train(TINY, SILENT), train(TINY, SILENT)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_other_weights() -> None:
    one, other = (dict(initialised(seed).named_parameters()) for seed in (0, 1))
    assert not torch.equal(one["features.0.weight"], other["features.0.weight"])


def test_first_kernels_start_small() -> None:
    kernels = initialised(0).features[0].weight
    assert kernels.std() < 0.05


def test_kept_network_is_reused(
    short: TrainedNetwork, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "train", lambda *_: pytest.fail("trained again"))
    again = trained_network(short.weights.parent, SHORT)
    assert again.record == short.record
    expected = short.module.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in again.module.state_dict().items())
    said = capsys.readouterr()
    assert said.out == ""
    assert f"kept in {short.weights}" in said.err


def test_other_settings_train_again(tmp_path: Path) -> None:
    first = trained_network(tmp_path, TINY)
    second = trained_network(tmp_path, replace(TINY, seed=1))
    assert second.record.seed == 1
    assert second.record.settings_digest != first.record.settings_digest


def test_progress_and_accuracy_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = trained_network(tmp_path, TINY).record
    said = capsys.readouterr()
    assert said.out == ""
    assert "loss" in said.err
    assert f"{record.accuracy:.1%} of 24 crops from areas it never saw; guessing would name 8.3%." in said.err


def test_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = module._step
    calls: list[None] = []

    def interrupted(*arguments: object) -> object:
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(module, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained_network(tmp_path / "demo", TINY)
    assert not (tmp_path / "demo").exists()
    monkeypatch.undo()
    trained_network(tmp_path / "demo", TINY)
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == [RECORD_NAME, WEIGHTS_NAME]


def test_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    trained_network(tmp_path, TINY)
    trained_network(tmp_path, TINY)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()


def test_demo_network_is_plain() -> None:
    kinds = [type(layer).__name__ for layer in demo_network().features]
    assert kinds == 3 * ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"]


def test_demo_network_loads_by_name(short: TrainedNetwork) -> None:
    network = fm.load("featmap.demo.train:demo_network", weights=short.weights)
    assert network.plan().to_dict()["totals"]["parameters"] == sum(
        parameter.numel() for parameter in short.module.parameters()
    )


def test_recorded_preprocessing_is_that_of_the_training() -> None:
    crop = crops("test", 1)[3]
    expected = normalised(samples([crop]).pixels / 255)[0]
    torch.testing.assert_close(demo_network.preprocessing(crop.image), expected)
