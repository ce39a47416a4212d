"""Pools in ceil mode with windows larger than their map, compared with torch, for any number of images."""

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import InputError

POOLS = {
    "average": nn.AvgPool2d(64, ceil_mode=True),
    "average, padded": nn.AvgPool2d(64, padding=3, ceil_mode=True),
    "maximum": nn.MaxPool2d((2, 16), stride=(2, 16), ceil_mode=True),
    "maximum, padded": nn.MaxPool2d(33, padding=16, ceil_mode=True),
}


def network(pool: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, (12, 3)), pool, nn.Conv2d(4, 5, 1)).eval()


@pytest.mark.parametrize("name", POOLS)
def test_several_images_and_other_sizes_have_the_modules_own_maps(name: str) -> None:
    module = network(POOLS[name])
    net = fm.trace(module, (3, 12, 10))
    for shape in ((3, 3, 12, 10), (2, 3, 13, 9)):
        images = torch.rand(shape)
        with torch.no_grad():
            right = module(images)
        found = net.maps(images, "2:conv", progress=False)["2:conv"].values
        assert torch.allclose(found, right, atol=1e-6)
        assert net.plan(shape[1:])["2"].output_shape == tuple(right.shape[1:])


@pytest.mark.parametrize("name", POOLS)
def test_many_units_at_once_have_autograds_gradient(name: str) -> None:
    module = network(POOLS[name])
    image: Tensor = torch.rand(1, 3, 12, 10, requires_grad=True)
    net = fm.trace(module, (3, 12, 10))
    units = [f"2:conv/{channel}@0,0" for channel in range(5)]
    found = net.project(image.detach(), units, "gradient", start="one", progress=False)
    for channel, projection in enumerate(found):
        (right,) = torch.autograd.grad(module(image)[0, channel, 0, 0], image)
        assert torch.allclose(projection.on_image(), right[0], atol=1e-6)


def test_a_window_that_torch_refuses_is_refused_too() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(8, stride=1, ceil_mode=True)).eval()
    net = fm.trace(module, (3, 12, 12))
    with pytest.raises(RuntimeError):
        module(torch.rand(1, 3, 6, 6))
    with pytest.raises(InputError, match="kernel 8 spans 8 rows"):
        net.plan((3, 6, 6))
