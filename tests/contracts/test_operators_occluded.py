"""Every operator of the table, occluded: positions, units and maps of its value equal full runs of the module."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from contracts.test_operators import CASES, SHAPE, Around, image
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


@pytest.fixture(params=CASES)
def asked(request: pytest.FixtureRequest) -> tuple[nn.Module, fm.Network]:
    """The module and what was captured of it; a cast to float32 counts as one to float64."""
    name = request.param
    if name == "to":
        pytest.skip("scores of float32 are compared elsewhere")
    if name in RANDOM:
        pytest.skip("what draws random numbers is not occluded")
    module = Between(name).eval()
    return module, fm.trace(module, SHAPE)


def assert_close(found: OcclusionMap, module: nn.Module, read: object) -> None:
    scores = full_runs(module, image(SHAPE), found, read)  # type: ignore[arg-type]
    largest = max(float(abs(scores).max()), abs(found.score))
    assert abs(found.grid - scores).max() <= 1e-9 * largest


def test_places(asked: tuple[nn.Module, fm.Network]) -> None:
    module, net = asked
    shape = tuple(module(image(SHAPE)).shape)
    (output,) = net._captured.graph.outputs
    has_images = net._captured.sized.axes[output].batch == 0 or shape[0] == 1
    for part in (0.0, 0.5, 0.99):
        index = tuple(int(part * size) for size in (shape[1:] if has_images else shape))
        found = net.occlude(image(SHAPE), index, **WINDOWS)
        assert_close(found, module, lambda y, i=index: y[0][i] if has_images else y[i])


def test_units_and_maps(asked: tuple[nn.Module, fm.Network]) -> None:
    module, net = asked
    (output,) = net._captured.graph.outputs
    sized, address = net._captured.sized, net._captured.resolver.describe(output)
    rows, columns = sized.size(output)
    channel = net._captured.resolver.channels(output) // 2
    found = net.occlude(image(SHAPE), f"{address}/{channel}", activity="sum", memory_bytes=1, **WINDOWS)
    assert_close(found, module, lambda y: as_maps(sized, output, y)[0, channel].sum())
    for row, column in {(0, columns - 1), (rows // 2, columns // 2)}:
        found = net.occlude(image(SHAPE), f"{address}/{channel}@{row},{column}", **WINDOWS)
        assert_close(found, module, lambda y, r=row, c=column: as_maps(sized, output, y)[0, channel, r, c])
