"""Operators between convolutions, occluded: positions, units and maps of their values equal full runs of the module.

The drawn contract holds every name alone; here stand some of every entry of the table, captured and with neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from contracts.test_operators import CASES, SHAPE, Around, image
from featmap.graph.operators.table import TABLE
from featmap.methods.maps import as_maps
from featmap.methods.shared.occlusion import OcclusionMap
from support.occlusion_cases import full_runs

RANDOM = ("rand_like", "randn_like", "randint_like", "bernoulli", "poisson")
WINDOWS = {"window": (2, 3), "stride": (3, 2), "progress": False, "dtype": torch.float64}


class Between(nn.Module):
    """The operator between two convolutions, where what comes out are maps that a convolution takes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(len(name))
        self.before, self.case = nn.Conv2d(3, 3, 3, padding=1).double(), Around(CASES[name]).double()
        with torch.no_grad():
            for parameter in self.before.parameters():
                parameter.uniform_(0.01, 0.2)  # roots and logarithms are taken
            value = self.case(image(SHAPE))
        takes = value.ndim == 4 and len(value) == 1
        self.after = nn.Conv2d(value.shape[1], 2, 3, padding=1).double() if takes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.case(self.before(x)))


def _of_every_entry() -> list[str]:
    """At most four names of those that have the same entry: they run alike, on whole images, boxes and backwards."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in CASES:
        # Random numbers are not occluded, and scores of float32 are compared elsewhere.
        if name not in (*RANDOM, "to"):
            alike[repr(TABLE[name])].append(name)
    return [name for names in alike.values() for name in names[:: -(-len(names) // 4)]]


NAMES = _of_every_entry()


@cache
def captured(name: str) -> tuple[Between, fm.Network]:
    """The module with the operator in it, and what was captured of it."""
    module = Between(name).eval()
    return module, fm.trace(module, SHAPE)


def assert_close(found: OcclusionMap, module: nn.Module, read: object) -> None:
    scores = full_runs(module, image(SHAPE), found, read)  # type: ignore[arg-type]
    largest = max(float(abs(scores).max()), abs(found.score))
    assert abs(found.grid - scores).max() <= 1e-9 * largest


@pytest.mark.parametrize("name", NAMES)
def test_positions_units_and_maps(name: str) -> None:
    module, net = captured(name)
    check_positions(module, net)
    check_units_and_maps(module, net)


def check_positions(module: nn.Module, net: fm.Network) -> None:
    shape = tuple(module(image(SHAPE)).shape)
    (output,) = net._captured.graph.outputs
    has_images = net._captured.sized.axes[output].batch == 0 or shape[0] == 1
    for part in (0.0, 0.5, 0.99):
        index = tuple(int(part * size) for size in (shape[1:] if has_images else shape))
        found = net.occlude(image(SHAPE), index, **WINDOWS)
        assert_close(found, module, lambda y, i=index: y[0][i] if has_images else y[i])


def check_units_and_maps(module: nn.Module, net: fm.Network) -> None:
    (output,) = net._captured.graph.outputs
    sized, address = net._captured.sized, net._captured.resolver.describe(output)
    rows, columns = sized.size(output)
    channel = net._captured.resolver.channels(output) // 2
    found = net.occlude(image(SHAPE), f"{address}/{channel}", activity="sum", memory_bytes=1, **WINDOWS)
    assert_close(found, module, lambda y: as_maps(sized, output, y)[0, channel].sum())
    for row, column in {(0, columns - 1), (rows // 2, columns // 2)}:
        found = net.occlude(image(SHAPE), f"{address}/{channel}@{row},{column}", **WINDOWS)
        assert_close(found, module, lambda y, r=row, c=column: as_maps(sized, output, y)[0, channel, r, c])
