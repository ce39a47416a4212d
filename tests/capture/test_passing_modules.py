"""Modules that compute nothing of their own, and modules with several names: each has an address by its path."""

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.run.batches import run_batches

SHAPE = (3, 12, 12)


class DropPath(nn.Module):
    """As in many libraries: in evaluation the input itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rand(len(x), 1, 1, 1) if self.training else x


PASSING = {
    "1": nn.Identity(),
    "an empty container": nn.Sequential(),
    "dropout": nn.Dropout(),
    "drop path": DropPath(),
    "a container of such": nn.Sequential(nn.Identity(), nn.Dropout(), nn.Sequential(DropPath())),
}


@pytest.mark.parametrize("kind", PASSING)
def test_what_a_module_passes_on_is_its_value(kind: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), PASSING[kind], nn.ReLU(), nn.Identity()).eval()
    net = fm.trace(module, SHAPE)
    assert [row.address for row in net.plan()] == ["0"]
    image = torch.rand(1, *SHAPE)
    paths = [f"1{path and '.'}{path}" for path, _ in PASSING[kind].named_modules()]
    for path in paths:
        (maps,) = net.maps(image, f"{path}:z").values()
        assert torch.equal(maps.values, net.maps(image, "0:z")["0:z"].values)
        assert net.receptive_field(f"{path}:z/1@2,3").box == net.receptive_field("0:z/1@2,3").box
    assert torch.equal(net.maps(image, "3")["0:a"].values, net.maps(image, "0:a")["0:a"].values)


def hooks() -> dict[int, object]:
    return dict(torch.nn.modules.module._global_forward_hooks)  # pyright: ignore[reportPrivateUsage]


def test_the_users_hooks_and_the_training_mode_stay() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity())
    before = hooks()
    fm.trace(module, SHAPE)
    with pytest.raises(fm.errors.FeatmapError):
        fm.trace(nn.Sequential(nn.Identity(), nn.Conv2d(4, 4, 3)), SHAPE)
    assert hooks() == before
    image = torch.rand(1, *SHAPE)
    assert module[1](image) is image


class WrittenAfter(nn.Module):
    """What an identity returns is its input, and whoever writes into it writes into that."""

    def __init__(self, passing: nn.Module) -> None:
        super().__init__()
        self.c, self.passing = nn.Conv2d(3, 4, 3), passing

    def forward(self, x: Tensor) -> Tensor:
        before = self.c(x)
        after = self.passing(before)
        after.relu_()
        after[:, 1] += 1
        return before * 2 + after


@pytest.mark.parametrize("passing", [nn.Identity(), nn.Sequential(), nn.Dropout(), DropPath()])
def test_writes_go_through(passing: nn.Module) -> None:
    module = WrittenAfter(passing).eval()
    captured = fm.trace(module, SHAPE)._captured  # pyright: ignore[reportPrivateUsage]
    image = torch.rand(1, *SHAPE)
    (output,) = captured.graph.outputs
    assert output is not None
    with torch.no_grad():
        assert torch.allclose(run_batches(captured, image, [output])[output], module(image), atol=1e-6)


class TwoNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.second = self.first
        self.inner = nn.ModuleDict({"again": self.first[0]})

    def forward(self, x: Tensor) -> Tensor:
        return self.second(x)


def test_every_name_of_a_module_is_its_address() -> None:
    net = fm.trace(TwoNames(), SHAPE)
    image = torch.rand(1, *SHAPE)
    for name in ("first.0", "second.0", "inner.again"):
        assert list(net.maps(image, f"{name}:z")) == ["second.0:z"]
    assert list(net.maps(image, "first.1")) == list(net.maps(image, "second.1")) == ["second.1:a"]
    with pytest.raises(fm.errors.NoSuchLayer, match=r"no layer 'first\.9'"):
        net.maps(image, "first.9")
