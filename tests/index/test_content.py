"""The content of an index: random networks and a trained one against an oracle that keeps all maps."""

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
from featmap.images.pictures import read_picture
from featmap.index.build.measure import Measurer
from featmap.index.schema import budget
from featmap.index.store.snapshot import Snapshot
from featmap.run.as_maps import as_maps
from featmap.testing.index_oracle import IndexOracle
from featmap.testing.strategies import RandomNetwork, networks
from support.index_equality import assert_index_is, stages_of, with_drawn_weights
from support.tiny_modules import conv, written


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


@settings(max_examples=100)
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
    assert_index_is(path, oracle if dtype is torch.float64 else in_float32(net, images, path, oracle))


def in_float32(net: fm.Network, images: torch.Tensor, path: str, oracle: IndexOracle) -> IndexOracle:
    """The maps as a run in batches hands them over, whose last digits are the index's own, close to the oracle's."""
    measurer = Measurer(net._captured, Snapshot.of(path).description)
    found: dict[str, list[np.ndarray]] = {layer: [] for layer in oracle.maps}
    for block in images.split(5):
        for part in block.split(measurer.batch):
            for node, value in measurer.program.each(part):
                for _, layer in measurer.layers[node]:
                    found[layer.address].append(as_maps(net._captured.sized, node, value).numpy().copy())
    maps = {layer: np.concatenate(parts) for layer, parts in found.items()}
    for layer, true in oracle.maps.items():
        np.testing.assert_allclose(maps[layer], true, rtol=0, atol=1e-4 * np.abs(true).max())
    return IndexOracle(maps, oracle.labels)


@pytest.mark.parametrize("parts", [[7], [1, 2, 7], [3, 4, 6, 7]], ids=str)
@pytest.mark.parametrize("block", [1, 3, 7, 50])
def test_blocks_and_builds_change_nothing(tmp_path: Path, block: int, parts: list[int]) -> None:
    net = fm.trace(with_drawn_weights(chain(nn.ReLU()), 4).double(), (3, 8, 7))
    images = torch.randn(7, 3, 8, 7, generator=torch.Generator().manual_seed(1))
    for count in parts:
        path = built(net, images[:count], tmp_path / "i.fmi", block=block, correlation="all", top_k=3)
    assert_index_is(path, IndexOracle.of(net._captured, images, ["0:a", "2:z"]))
    assert Snapshot.of(path).read("block/images").max() <= block


def test_correlation_over_some_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_CORRELATION_SHARE", 0)
    monkeypatch.setattr(budget, "_CORRELATION_MACS", 2000)
    net = fm.trace(with_drawn_weights(chain(nn.ReLU()), 4).double(), (3, 8, 7))
    images = torch.randn(7, 3, 8, 7, generator=torch.Generator().manual_seed(1))
    path = built(net, images[:4], tmp_path / "i.fmi", block=2)
    built(net, images, tmp_path / "i.fmi")
    assert [layer.correlated for layer in Snapshot.of(path).description.layers] == [30, 56]
    assert_index_is(path, IndexOracle.of(net._captured, images, ["0:a", "2:z"]))


def test_a_block_of_several_batches(tmp_path: Path) -> None:
    net = fm.trace(with_drawn_weights(SPECIAL["relu6"](), 4).double(), (3, 8, 7))
    images = torch.randn(37, 3, 8, 7, generator=torch.Generator().manual_seed(1))
    path = built(net, images, tmp_path / "i.fmi", correlation="all")
    description = Snapshot.of(path).description
    assert (description.batch, description.block >= 37) == (8, True)
    assert_index_is(path, IndexOracle.of(net._captured, images, ["0:a", "2:z"]))


@pytest.mark.parametrize("is_list", [True, False])
def test_images_that_cannot_be_used_leave_no_trace(tmp_path: Path, is_list: bool) -> None:
    net = fm.trace(with_drawn_weights(chain(nn.ReLU()), 4).double(), (3, 8, 7))
    images = torch.randn(9, 3, 8, 7, generator=torch.Generator().manual_seed(1))
    given: list[torch.Tensor] = list(images)
    given[0], given[4] = torch.full((3, 8, 7), torch.nan), torch.zeros(3, 8, 8)
    # Finite as it comes, but no float32 holds what the network makes of it.
    given[6] = torch.full((3, 8, 7), 1e300, dtype=torch.float64)
    path = built(net, given if is_list else iter(given), tmp_path / "i.fmi", block=3, correlation="all")
    good = [1, 2, 3, 5, 7, 8]
    assert_index_is(path, IndexOracle.of(net._captured, images[good], ["0:a", "2:z"]))
    assert Snapshot.of(path).texts("image/name", range(6)) == [f"image {number}" for number in good]
    assert fm.Index.open(path).summary().skipped == (
        ("image 0", "'image 0' holds values that are no numbers."),
        ("image 4", "'image 4' gives an input of 3x8x8; the index is of 3x8x7."),
        ("image 6", "'image 6' gives values that are no numbers in 0:a."),
    )


BOUNDS = {
    "relu6": (None, 6.0),
    "clamp at 0 and 0.3": (None, 0.3),
    "clamp from below 0": (-0.1, 0.2),
    "clamp by name": (None, 0.1),
    "clamp_max": (None, 0.1),
    "clamp_min": (0.1, None),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-0.2, 0.3),
    "hardtanh as it comes": (-1.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "in place": (None, None),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_of_nonlinearities(tmp_path: Path, name: str) -> None:
    net = fm.trace(SPECIAL[name](), (3, 8, 7))
    path = built(net, torch.randn(2, 3, 8, 7), tmp_path / "i.fmi", layers=[net.layers[0].address])
    (layer,) = Snapshot.of(path).description.layers
    assert layer.address.endswith(":a")
    assert tuple(layer.to_dict()["bounds"]) == BOUNDS[name]


DATA = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_vgg"


@pytest.mark.skipif(not DATA.exists(), reason="the trained network lies in ../shared/data, which is absent")
def test_every_stage_of_a_trained_network_on_photographs(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    parts = [conv(3, 10, padding=0), *(conv(10, 10, padding=0) for _ in range(3))]
    features = nn.Sequential(
        parts[0], nn.ReLU(), parts[1], nn.ReLU(), nn.MaxPool2d(2),
        parts[2], nn.ReLU(), parts[3], nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip
    module = nn.Sequential()
    module.add_module("features", features)
    module.add_module("classifier", nn.Sequential(nn.Flatten(), nn.Linear(1690, 10)))
    module.load_state_dict(load_file(DATA / "tiny_vgg.safetensors"))
    plain = fm.Preprocessing(crop=(64, 64), source="values / 255")
    net = fm.trace(module.double().eval(), (3, 64, 64), preprocessing=plain)
    photographs = sorted((DATA / "images").glob("*.jpeg"))
    images = torch.stack([plain(read_picture(path)) for path in photographs])
    layers = [*stages_of(net), "features.4", "features.9"]
    path = built(
        net, DATA / "images", tmp_path / "i.fmi", layers=layers, block=8, correlation="all", full=["features.7"]
    )
    oracle = IndexOracle.of(net._captured, images, [layer if ":" in layer else f"{layer}:a" for layer in layers])
    assert_index_is(path, oracle)
    snapshot = Snapshot.of(path)
    assert snapshot.texts("image/name", range(20)) == [photograph.name for photograph in photographs]
    assert snapshot.read("block/images").tolist() == [8, 8, 4]


def test_whole_maps_beyond_float16_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU()).eval(), (1, 4, 4))
    images = torch.full((3, 1, 4, 4), 1e7)
    net._captured.tensors["0.weight"].data.fill_(1.0)
    with pytest.raises(fm.errors.WorkError) as error:
        fm.Index.build(net, images, tmp_path / "i.fmi", full=["0"], progress=False)
    assert str(error.value) == (
        "'0:a' has values beyond 65,504, more than float16 holds.\n\n"
        "Leave its whole maps out (full, --full); everything else in the index is float32."
    )
    assert fm.Index.open(tmp_path / "i.fmi").images == 0
    assert fm.Index.build(net, images, tmp_path / "j.fmi", progress=False).images == 3
