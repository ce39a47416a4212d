"""The demo's index: made of crops in one tar file, reused, and made again for a newly trained network."""

from __future__ import annotations

from pathlib import Path

import pytest

from featmap.api import Network, load
from featmap.demo.crops import PHOTOGRAPHS, crops
from featmap.demo.dataset import CROPS_NAME, INDEX_NAME, LAYERS, dataset, indexed, packed
from featmap.demo.tour import MODEL
from featmap.demo.train import Settings, trained_network
from featmap.view.report.page import Report

FEW = 3


def network(folder: Path, seed: int) -> Network:
    settings = Settings(seed=seed, training_crops=2, test_crops=1, epochs=1, batch_size=12)
    return load(MODEL, weights=trained_network(folder, settings).weights)


def test_the_same_crops_are_the_same_bytes() -> None:
    assert packed(crops("test", 1)) == packed(crops("test", 1))


def test_the_index_is_used_again_and_made_anew_for_other_weights(tmp_path: Path) -> None:
    first = indexed(tmp_path, network(tmp_path / "one", 0), FEW)
    assert (first.images, len(first.summary().labels)) == (FEW * len(PHOTOGRAPHS), len(PHOTOGRAPHS))
    again = indexed(tmp_path, network(tmp_path / "one", 0), FEW)
    assert again.report is not None
    assert again.report.added == 0
    other = indexed(tmp_path, network(tmp_path / "two", 1), FEW)
    assert other.report is not None
    assert other.report.added == FEW * len(PHOTOGRAPHS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [INDEX_NAME, CROPS_NAME, "one", "two"]


@pytest.fixture
def pages() -> dict[str, int]:
    return {}


def test_the_section_shows_crops_of_both_layers_and_the_audit(tmp_path: Path, pages: dict[str, int]) -> None:
    index = indexed(tmp_path, network(tmp_path / "one", 0), FEW)
    report = dataset(Report("title", "lead"), index, lambda found, name: pages.update({name: len(found)}))
    assert pages == {**{f"top-{layer}.png": 1 for layer in LAYERS}, "distribution.png": 1}
    page = report.html()
    assert "<h2" in page
    for layer in index.layers:
        assert layer in page
    assert "cannot be shown" not in index.top_sheet(LAYERS[0], k=1).show().info["Description"]
