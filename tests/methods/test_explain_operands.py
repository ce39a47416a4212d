"""The arithmetic of sums, concatenations, pools, resizes and normalisations: terms, constants, means and variances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import featmap as fm
from featmap.errors import NoSuchStage
from featmap.methods.explain import Explanation


class Everything(nn.Module):
    """All operators whose values are taken apart, each with an odd setting, over one to three axes."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        conv, maximum, average, norm = {
            1: (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d, nn.InstanceNorm1d),
            2: (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.InstanceNorm2d),
            3: (nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d, nn.InstanceNorm3d),
        }[axes]
        self.first, self.second = conv(3, 4, 3, padding=1), conv(3, 4, 3, padding=1)
        self.group, self.batch = nn.GroupNorm(2, 4), {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[axes](4)
        self.instance = norm(8, affine=True)
        self.maximum, self.average = maximum(3, 2, 1), average(3, 2, 1, count_include_pad=False)
        self.layer = nn.LayerNorm(8)
        self.shift = nn.Parameter(torch.ones(8, *[1] * axes))
        self.smooth = {1: "linear", 2: "bilinear", 3: "trilinear"}[axes]

    def forward(self, x: Tensor) -> Tensor:
        one, two = functional.relu(self.group(self.first(x))), self.batch(self.second(x))
        added = functional.relu(torch.add(one, two, alpha=2))
        joined = torch.cat([torch.sub(added, two, alpha=0.5), two], 1)
        normed = self.instance(joined)
        pooled = self.maximum(normed) + self.average(normed)
        larger = functional.interpolate(pooled, scale_factor=2, mode=self.smooth)
        last = self.layer(larger.movedim(1, -1)).movedim(-1, 1)
        return functional.relu(last + self.shift) + 0.5


def traced(axes: int) -> tuple[fm.Network, Tensor]:
    torch.manual_seed(axes)
    module = Everything(axes).double().eval()
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5 if name.endswith("var") else torch.randn_like(tensor))
    shape = (3, *(9, 8, 7)[:axes])
    return fm.trace(module, shape), torch.randn(1, *shape, dtype=torch.float64)


def remade(found: Explanation) -> float:
    """The value up to z, from what the answer says alone."""
    total = math.fsum(float((term.window * term.kernel).sum()) for term in found.terms) + (found.bias or 0.0)
    assert total == pytest.approx(found.total, rel=1e-9, abs=1e-9)
    for norm in found.normalizations:
        assert norm.scale is not None
        assert norm.shift is not None
        total = total * norm.scale + norm.shift
    return total


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_value_is_what_its_terms_say(axes: int) -> None:
    net, image = traced(axes)
    seen: set[str] = set()
    for row in net.plan():
        if row.operator in ("mul", "relu"):
            continue
        for stage in row.stages:
            key = f"{row.address}:{stage}"
            maps = net.maps(image, key, dtype=torch.float64, progress=False)[key].values[0]
            for unit in (
                (0, *[0] * axes),
                (1, *[side // 2 for side in maps.shape[1:]]),
                tuple(n - 1 for n in maps.shape),
            ):
                found = net.explain(image, f"{key}/{unit[0]}@{','.join(map(str, unit[1:]))}")
                assert found.value == pytest.approx(float(maps[unit]), rel=1e-9, abs=1e-9)
                assert remade(found) == pytest.approx(found.z, rel=1e-9, abs=1e-9)
                assert str(found)
                seen.add(row.operator)
    assert len(seen) >= 9


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_means_and_variances_are_those_of_the_group(axes: int) -> None:
    net, image = traced(axes)
    unit = ",".join("2" for _ in range(axes))
    before = net.maps(image, ["first:conv", "cat"], dtype=torch.float64, progress=False)
    groups = {"first:z/3": before["first:conv"].values[0, 2:4], "instance/5": before["cat"].values[0, 5]}
    for address, group in groups.items():
        (norm,) = net.explain(image, f"{address}@{unit}").normalizations
        assert norm.mean == pytest.approx(float(group.mean()), rel=1e-9)
        assert norm.variance == pytest.approx(float(group.var(correction=0)), rel=1e-9)


def test_a_norm_by_kept_statistics_of_each_channel() -> None:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), norm).double().eval()
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5 if name.endswith("var") else torch.randn_like(tensor))
    image = torch.randn(1, 3, 6, 7, dtype=torch.float64)
    found = fm.trace(module, (3, 6, 7)).explain(image, "0:z/2@1,3")
    with torch.no_grad():
        assert found.value == pytest.approx(float(module(image)[0, 2, 1, 3]), rel=1e-9)
    assert remade(found) == pytest.approx(found.z, rel=1e-9)
    assert found.normalizations[0].mean == pytest.approx(float(norm.get_buffer("running_mean")[2]))


def test_what_a_sum_and_a_pool_are_made_of() -> None:
    net, image = traced(2)
    maps = net.maps(image, ["first", "second:z", "add#1:z", "instance"], dtype=torch.float64, progress=False)
    found = net.explain(image, "add#1:z/1@4,5")
    assert [(term.source, term.channel, term.kernel.tolist()) for term in found.terms] == [
        ("first:a", 1, [[1.0]]),
        ("second:z", 1, [[2.0]]),
    ]
    assert found.conv is None
    given = maps["instance"].values[0, 3, 3:6, 1:4]
    (maximum,) = net.explain(image, "maximum/3@2,1").terms
    np.testing.assert_allclose(maximum.window, given)
    assert maximum.kernel.sum() == 1
    assert maximum.kernel.flat[int(given.argmax())] == 1
    (average,) = net.explain(image, "average/3@0,0").terms
    assert average.window.shape == (2, 2)
    np.testing.assert_allclose(average.kernel, 1 / 4)
    assert net.explain(image, "cat/6@1,1").terms[0].channel == 2


def test_what_is_no_sum() -> None:
    net, image = traced(2)
    with pytest.raises(NoSuchStage) as raised:
        net.explain(image, "relu#3:a/1@1,1")
    assert str(raised.value) == (
        "'relu#3:a/1@1,1' is not a sum but a value of relu.\n\n"
        "Ask about a convolution, a linear layer, a sum, a concatenation, a pool or a normalisation."
    )
