"""Dead maps: behind a nonlinearity that is 0 on a half line, and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import NotKept
from featmap.index.questions.audit import FailOn
from featmap.index.questions.chosen import check_rectified

RECTIFYING: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hardtanh at 0": lambda x: functional.hardtanh(x, 0.0, 2.0),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "threshold": lambda x: functional.threshold(x, 0.5, 0.0),
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
}
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "silu": functional.silu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "tanh": torch.tanh,
    "hardtanh": functional.hardtanh,
    "clamp above": lambda x: x.clamp(max=0),
    "threshold to a value": lambda x: functional.threshold(x, 0.5, -1.0),
    "softshrink": functional.softshrink,
}


class After(nn.Module):
    """One convolution whose map 0 is far below 0, and a function of it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 1)
        self.function = function
        with torch.no_grad():
            self.conv.weight.fill_(1)
            self.conv.bias.copy_(torch.tensor([-9.0, 0.5, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


def audited(module: nn.Module, path: Path, layers: list[str] | None = None) -> Any:
    net = fm.trace(module.eval(), (1, 4, 4))
    values = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return fm.Index.build(net, values, path / "i.fmi", layers, progress=False).audit()


@pytest.mark.parametrize("name", RECTIFYING)
def test_a_rectified_map_that_is_0_everywhere_is_dead(name: str, tmp_path: Path) -> None:
    audit = audited(After(RECTIFYING[name]), tmp_path)
    (layer,) = audit.layers
    assert (layer.rectified, layer.dead, layer.never_positive) == (True, (0,), ())
    assert FailOn.parse("dead>0").broken_by(audit)


@pytest.mark.parametrize("name", OTHERS)
def test_a_map_that_is_not_rectified_is_never_dead(name: str, tmp_path: Path) -> None:
    audit = audited(After(OTHERS[name]), tmp_path)
    (layer,) = audit.layers
    assert (layer.rectified, layer.dead, layer.nearly_dead) == (False, (), ())
    assert 0 in layer.never_positive
    assert audit.totals["dead"] == 0
    for bound in ("dead>0", "nearly_dead>0"):
        assert not FailOn.parse(bound).broken_by(audit)
    data = audit.to_dict()["layers"][0]
    assert (data["rectified"], data["dead"]) == (False, [])
    assert 0 in data["never_positive"]
    assert " - " in str(audit)


def test_hardswish_below_0_is_not_dead(tmp_path: Path) -> None:
    module = After(functional.hardswish)
    with torch.no_grad():
        module.conv.bias[0] = -2  # its values lie where hardswish is below 0
    (layer,) = audited(module, tmp_path).layers
    assert (layer.dead, layer.never_positive) == ((), (0,))


def test_scores_that_are_negative_on_all_images_are_no_fault(tmp_path: Path) -> None:
    audit = audited(nn.Sequential(After(torch.relu), nn.Flatten(), nn.Linear(48, 2)), tmp_path)
    scores = audit.layers[-1]
    assert not scores.rectified
    assert not scores.dead


class Joined(nn.Module):
    """A join of rectified maps, a pool of it, and a sum before its rectifier."""

    def __init__(self, *, raw: bool) -> None:
        super().__init__()
        self.one, self.two, self.raw = After(torch.relu), After(torch.relu), raw

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        one, two = self.one(x), self.two(x)
        joined = torch.cat([one, two.neg() if self.raw else two], 1)
        return functional.max_pool2d(joined, 2), one + two


@pytest.mark.parametrize("raw", [False, True])
def test_joins_and_pools_of_rectified_maps_are_rectified(tmp_path: Path, *, raw: bool) -> None:
    audit = audited(Joined(raw=raw), tmp_path, ["cat", "max_pool2d", "add:z"])
    joined, pooled, added = audit.layers
    expected = (False, ()) if raw else (True, (0, 3))
    assert (joined.rectified, joined.dead) == expected
    assert (pooled.rectified, pooled.dead) == expected
    assert not added.rectified


def test_an_index_that_does_not_say_refuses() -> None:
    layers = (SimpleNamespace(rectified=True), SimpleNamespace(rectified=None))
    snapshot: Any = SimpleNamespace(path="old.fmi", description=SimpleNamespace(layers=layers, version="0.1"))
    with pytest.raises(NotKept) as caught:
        check_rectified(snapshot)
    assert str(caught.value) == (
        "'old.fmi' was built by featmap 0.1, which did not keep which layers are rectified: behind others no map is "
        "dead.\n\nBuild the index again, at another path."
    )


def test_the_description_of_an_old_index_is_still_read(tmp_path: Path) -> None:
    net = fm.trace(After(torch.relu).eval(), (1, 4, 4))
    layer = fm.Index.build(net, torch.rand(2, 1, 4, 4), tmp_path / "i.fmi", progress=False).description.layers[0]
    old = {name: value for name, value in layer.to_dict().items() if name != "rectified"}
    assert dataclasses.replace(layer, rectified=None) == type(layer).from_dict(old)
