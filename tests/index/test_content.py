"""Does an index hold what its images gave? Random networks and a trained one against an oracle that keeps all maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import featmap as fm
from featmap.errors import InputError
from featmap.index import budget
from featmap.index.snapshot import Snapshot
from featmap.testing.index_oracle import IndexOracle
from featmap.testing.strategies import RandomNetwork, networks
from index_equality import assert_index_is, stages_of, with_drawn_weights
from tiny_modules import conv, written


def built(net: fm.Network, images: Any, path: Path, **settings: Any) -> str:
    fm.Index.build(net, images, path, progress=False, **settings)
    return str(path)


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """What is kept, in blocks so large that an example needs few commits."""
    return {
        "top_k": draw(st.sampled_from([1, 2, 5, 9])),
        "table": draw(st.booleans()),
        "correlation": draw(st.sampled_from(["all", "auto", "none"])),
        "quantile_bytes": draw(st.sampled_from([None, None, 0, 400, 4000])),
        "block": draw(st.sampled_from([2, 3, 7])),
    }


@settings(max_examples=100, deadline=None)
@given(
    drawn=networks(),
    wish=wishes(),
    seed=st.integers(0, 10_000),
    copies=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    is_resumed=st.booleans(),
    data=st.data(),
)
def test_everything_equals_the_oracle(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: RandomNetwork,
    wish: dict[str, Any],
    seed: int,
    copies: list[int],
    is_resumed: bool,
    data: st.DataObject,
) -> None:
    net = fm.trace(with_drawn_weights(drawn.module, seed), drawn.input_shape)
    stages = stages_of(net)
    assume(stages)
    # Which values are wanted decides what may be folded and overwritten on the way.
    layers = data.draw(st.lists(st.sampled_from(stages), min_size=1, max_size=6, unique=True))
    full = [layers[-1]] if data.draw(st.booleans()) else None
    # Images that come twice make ties.
    images = torch.randn(4, *drawn.input_shape, generator=torch.Generator().manual_seed(seed))[copies]
    path = tmp_path_factory.mktemp("random") / "i.fmi"
    wish = {**wish, "layers": layers, "full": full}
    if is_resumed:
        built(net, images[: len(images) // 2 + 1], path, **wish)
    built(net, images, path, **wish)
    assert_index_is(str(path), IndexOracle.of(net._captured, images, layers))


CONV = nn.Conv2d(3, 6, 3)


def chain(*parts: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(conv(3, 6), *parts, conv(6, 4)).eval()


def _reused() -> nn.Module:
    relu = nn.ReLU(inplace=True)
    return written(lambda self, x: self.r(self.b(self.r(self.a(x)))), a=conv(3, 4), b=conv(4, 4), r=relu)


def _joined() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        made = self.a(x)
        return torch.relu_(torch.cat([x, made, torch.relu(made)], dim=1))

    return written(forward, a=conv(3, 4))


def _overwritten() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        made = self.a(x)
        seen = made.flatten(2).transpose(1, 2)
        made = made.relu_()
        return made + self.b(made) + seen.mean()

    return written(forward, a=conv(3, 4), b=conv(4, 4))


def _mixing() -> nn.Module:
    """Images of one batch would change one another."""
    return written(lambda self, x: torch.relu(self.a(x) - self.a(x).mean(0, keepdim=True).amax()), a=conv(3, 4))


def _vectors() -> nn.Module:
    return nn.Sequential(conv(3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 7, 5), nn.ReLU(), nn.Linear(5, 3))


SPECIAL: dict[str, Callable[[], nn.Module]] = {
    "relu6": lambda: chain(nn.ReLU6()),
    "clamp at 0 and 0.3": lambda: written(lambda self, x: self.a(x).clamp(0, 0.3), a=conv()),
    "clamp from below 0": lambda: written(lambda self, x: torch.clamp(self.a(x), -0.1, 0.2), a=conv()),
    "clamp by name": lambda: written(lambda self, x: torch.clamp(self.a(x), max=0.1), a=conv()),
    "clamp_max": lambda: written(lambda self, x: torch.clamp_max(self.a(x), 0.1), a=conv()),
    "clamp_min": lambda: written(lambda self, x: torch.clamp_min(self.a(x), 0.1), a=conv()),
    "sigmoid": lambda: chain(nn.Sigmoid()),
    "tanh": lambda: chain(nn.Tanh()),
    "hardtanh": lambda: chain(nn.Hardtanh(-0.2, 0.3)),
    "hardtanh as it comes": lambda: chain(nn.Hardtanh()),
    "hardsigmoid": lambda: chain(nn.Hardsigmoid()),
    "batch norm": lambda: chain(nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
    "in place": lambda: chain(nn.ReLU(inplace=True)),
    "a module called twice": _reused,
    "the image joined with its maps": _joined,
    "a view that is read after an overwriting": _overwritten,
    "images that cannot be run together": _mixing,
    "vectors": _vectors,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SPECIAL)
def test_every_stage_of_special_networks(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    net = fm.trace(with_drawn_weights(SPECIAL[name](), 4).to(dtype).eval(), (3, 8, 7))
    images = torch.randn(7, 3, 8, 7, generator=torch.Generator().manual_seed(1))
    layers = stages_of(net)
    path = built(net, images, tmp_path / "i.fmi", layers=layers, block=5, correlation="all")
    oracle = IndexOracle.of(net._captured, images, layers)
    assert_index_is(path, oracle if dtype is torch.float64 else in_float32(net, images, layers, oracle))


def in_float32(net: fm.Network, images: torch.Tensor, layers: list[str], oracle: IndexOracle) -> IndexOracle:
    """The maps as a plain run in batches gives them, whose last digits are the index's own, close to the oracle's."""
    parts = [net.maps(part, layers, progress=False) for part in images.split(5)]
    maps = {
        layer: np.concatenate([part[layer].values.reshape(len(part[layer].values), *oracle.maps[layer].shape[1:]).numpy() for part in parts])
        for layer in layers
    }
    for layer in layers:
        largest = np.abs(oracle.maps[layer]).max()
        np.testing.assert_allclose(maps[layer], oracle.maps[layer], rtol=0, atol=1e-4 * largest)
    return IndexOracle(maps, oracle.labels)
