"""What an occlusion will recompute, counted before it runs: the known ceilings, and shares that hold."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.methods.occlusion_cost import OcclusionCost
from support.occlusion_cases import SHAPE, SqueezeExcite, case, case_of
from support.tiny_modules import conv


@cache
def network(name: str, side: int) -> fm.Network:
    return fm.load(f"torchvision:{name}", input_shape=(3, side, side))


def convolutions(cost: OcclusionCost, share: str) -> float:
    """The gain in the multiply-adds of convolutions alone."""
    rows = [row for row in cost.layers if not row.address.startswith(("classifier", "fc"))]
    return sum(row.macs for row in rows) / sum(row.macs * getattr(row, share) for row in rows)


@pytest.mark.parametrize(
    ("name", "side", "exact", "of_three_widths"),
    [("vgg16", 224, 9.8, 9.0), ("resnet18", 224, 2.8, 2.7), ("resnet50", 224, 2.7, 2.6), ("resnet50", 448, 7.0, 6.3)],
)
def test_ceilings_of_known_networks(name: str, side: int, exact: float, of_three_widths: float) -> None:
    """Window 16, stride 4, convolutions only: Krypton's networks and setting (Nakandala et al. 2019)."""
    cost = network(name, side).occlusion_cost(window=16, stride=4)
    assert round(convolutions(cost, "exact"), 1) == exact
    assert convolutions(cost, "recomputed") == pytest.approx(of_three_widths, rel=0.04)
    assert cost.positions == len(range(0, side - 15, 4)) ** 2


def test_linear_layers_lower_the_ceiling_of_vgg16() -> None:
    """A linear layer on a flattened map is computed in full for every window: 0.8% of the products, 7% of the gain."""
    cost = network("vgg16", 224).occlusion_cost(window=16, stride=4)
    linear = [row for row in cost.layers if row.address.startswith("classifier")]
    assert [(row.exact, row.recomputed, row.is_regional) for row in linear] == [(1, 1, False)] * 3
    assert sum(row.macs for row in linear) == 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert sum(row.macs for row in linear) / sum(row.macs for row in cost.layers) == pytest.approx(0.008, abs=2e-4)
    assert (round(convolutions(cost, "exact"), 2), round(cost.ceiling, 2)) == (9.78, 9.14)


@pytest.mark.parametrize(
    ("name", "unit", "ceiling"),
    [
        ("vgg16", "features.14:a/0@28,28", 5300),
        ("vgg16", "features.21:a/0@14,14", 390),
        ("vgg16", "features.28:a/0@7,7", 30),
        ("resnet50", "layer2.3:a/0@14,14", 300),
        ("resnet50", "layer3.5:a/0@7,7", 11),
    ],
)
def test_ceilings_of_centre_units(name: str, unit: str, ceiling: float) -> None:
    """Against full runs up to the unit's layer: what no change reaches and no unit needs costs nothing."""
    cost = network(name, 224).occlusion_cost(unit, window=16, stride=4)
    assert cost.ceiling == pytest.approx(ceiling, rel=0.03)
    assert all(row.is_regional for row in cost.layers)
    assert 0.7 * cost.ceiling <= cost.expected <= cost.ceiling


def test_what_stands_behind_squeeze_and_excite_is_whole() -> None:
    asked = case_of(nn.Sequential(conv(3, 4), nn.ReLU(), SqueezeExcite(4), conv(4, 2)), SHAPE)
    rows = {row.address: row for row in asked.net.occlusion_cost(f"{asked.output}/0", window=3, stride=3).layers}
    assert {name: row.is_regional for name, row in rows.items()} == {
        "0": True,
        "2.down": False,
        "2.up": False,
        "3": False,
    }
    assert rows["0"].exact < 0.4
    assert {row.exact for name, row in rows.items() if name != "0"} == {1}


@pytest.mark.parametrize("name", ["plain", "concat", "squeeze and excite", "transposed"])
def test_an_occlusion_recomputes_what_was_counted(name: str) -> None:
    asked = case(name)
    target = f"{asked.output}/1@2,3"
    found = asked.net.occlude(asked.image, target, (3, 2), 3, dtype=torch.float64, progress=False)
    cost = asked.net.occlusion_cost(target, window=(3, 2), stride=3)
    assert found.recomputed_share == pytest.approx(1 / cost.expected)
    assert cost.positions == found.windows.count


def test_shares_are_counted_places() -> None:
    """One 3x3 convolution, windows of one pixel: 3 x 3 of its places change, fewer at the border."""
    asked = case_of(nn.Sequential(conv(1, 2)), (1, 5, 7))
    (row,) = asked.net.occlusion_cost(f"{asked.output}/0", window=1, stride=1).layers
    along = {5: 2 + 3 * 3 + 2, 7: 2 + 3 * 5 + 2}
    assert row.exact == along[5] * along[7] / (5 * 7) ** 2
    assert row.macs == 5 * 7 * 2 * 9


def test_a_network_without_products_gains_nothing_that_could_be_counted() -> None:
    asked = case_of(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), SHAPE)
    cost = asked.net.occlusion_cost(f"{asked.output}/0", window=3, stride=3)
    assert (cost.layers, cost.ceiling) == ((), float("inf"))


def test_json() -> None:
    asked = case("squeeze and excite")
    cost = asked.net.occlusion_cost(f"{asked.output}/0", window=(3, 4), stride=(4, 3))
    document = cost.to_dict()
    assert list(document) == ["layers", "positions", "window", "stride", "ceiling", "expected", "region_ends"]
    assert document["region_ends"] == ["adaptive_avg_pool2d", "mul"]
    assert list(document["layers"][0]) == ["address", "macs", "exact", "recomputed", "regional"]
    assert (document["positions"], document["window"], document["stride"]) == (16, [3, 4], [4, 3])


class Branches(nn.Module):
    """Two branches, one of them through an operator that nobody described, the other one sorted along the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = conv(3, 4), conv(3, 4), conv(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        own = torch.renorm(self.first(x), 2, 1, 0.5)
        return self.last(own + self.second(x).sort(2).values)


def test_what_has_no_regions_is_named_in_the_plan_and_in_the_answer() -> None:
    """The sum and the convolution behind have regions, but what they read has none; they are not to blame."""
    asked = case_of(Branches(), SHAPE)
    target = f"{asked.output}/0"
    cost = asked.net.occlusion_cost(target, window=3, stride=3)
    assert cost.region_ends == ("renorm", "sort")
    assert str(cost) == (
        "occlusion, 16 windows of 3 x 3, stride 3 x 3\n"
        "layer    MACs  can change  recomputed\n"
        "first   14.3K       15.3%       15.3%\n"
        "second  14.3K       15.3%       15.3%\n"
        "last    9.50K      100.0%      100.0%  whole\n"
        "\n"
        "computed whole, with all that follows: renorm, sort\n"
        "gain over one full run per window, in multiply-adds: 2.74x of at most 2.74x"
    )
    found = asked.net.occlude(asked.image, target, 3, 3, progress=False)
    assert found.region_ends == ("renorm", "sort")
    assert found.semantics["region_ends"] == ["renorm", "sort"]
    projected = asked.net.project(asked.image, target, "guided", progress=False)
    assert projected.through_gradient == ("renorm", "sort")


def test_where_everything_has_regions_nothing_is_named() -> None:
    asked = case("plain")
    cost = asked.net.occlusion_cost(f"{asked.output}/0", window=3, stride=3)
    assert cost.region_ends == ()
    assert "computed whole" not in str(cost)
    assert asked.net.occlude(asked.image, f"{asked.output}/0", 3, 3, progress=False).semantics["region_ends"] == []
