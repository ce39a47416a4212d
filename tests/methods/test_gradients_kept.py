"""Forwards that cut a gradient, use complex numbers, masks or casts: `gradient` is autograd's own."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from support.between import Between


class Fourier(Between):
    def between(self, y: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(y) * 1.5)


class Magnitude(Between):
    def between(self, y: Tensor) -> Tensor:
        return torch.fft.fft2(y).abs()


class RealAndImaginary(Between):
    def between(self, y: Tensor) -> Tensor:
        f = torch.fft.fft2(y)
        return f.real * torch.angle(f) + torch.view_as_real(f)[..., 1]


class ComplexMade(Between):
    def between(self, y: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.complex(y, y.square())).imag


class StraightThrough(Between):
    def between(self, y: Tensor) -> Tensor:
        return y + (y.sign() - y).detach()


class HalfDetached(Between):
    def between(self, y: Tensor) -> Tensor:
        return y * y.detach()


class NoGradBlock(Between):
    def between(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            gate = (y * 2).sigmoid()
        return y * gate


class NestedBlocks(Between):
    def between(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            gate = y.tanh()
            with torch.enable_grad():
                other = y.square()
        return y * gate + other


class FrozenStem(Between):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.first(x)
        return self.second(y) + x.mean()


class ComparedMask(Between):
    def between(self, y: Tensor) -> Tensor:
        return y * (functional.max_pool2d(y, 3, 1, 1) == y).float()


class WhereMask(Between):
    def between(self, y: Tensor) -> Tensor:
        return torch.where(y > 0.1, y, 0.2 * y) * (y > 0).to(y.dtype)


class IntegerValues(Between):
    def between(self, y: Tensor) -> Tensor:
        return y * (y * 3).round().long().float()


class SliceAssigned(Between):
    def between(self, y: Tensor) -> Tensor:
        y[:, :2] = y[:, :2].sigmoid()
        y[:, :, 1:3, ::2] = 0.5 * y[:, :1, 1:3, ::2]
        return y


class Doubled(Between):
    def between(self, y: Tensor) -> Tensor:
        return y.float().exp().to(y.dtype)


class LargeAverage(Between):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(functional.avg_pool2d(self.first(x), 64, ceil_mode=True, padding=3).expand(-1, -1, 6, 6))


class LargeMaximum(Between):
    def between(self, y: Tensor) -> Tensor:
        return functional.max_pool2d(y, 33, stride=1, padding=16)


KINDS = [
    Fourier, Magnitude, RealAndImaginary, ComplexMade, StraightThrough, HalfDetached, NoGradBlock, NestedBlocks,
    FrozenStem, ComparedMask, WhereMask, IntegerValues, SliceAssigned, Doubled, LargeAverage, LargeMaximum,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_gradient_is_autograds(kind: type[Between]) -> None:
    torch.manual_seed(0)
    module = kind().double().eval()
    image = torch.rand(1, 3, 12, 10, dtype=torch.float64, requires_grad=True)
    (right,) = torch.autograd.grad(module(image)[0, 1, 2, 3], image, materialize_grads=True)
    net = fm.trace(module, (3, 12, 10))
    found = net.project(image.detach(), "[1,2,3]", "gradient", start="one", progress=False).on_image()
    scale = float(right.abs().max()) or 1.0
    # What goes through float32 on the way is rounded there.
    tolerance = 1e-5 if kind in (Doubled, ComparedMask, IntegerValues) else 1e-9
    assert torch.allclose(found.double(), right[0], rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_values_are_the_modules_own(kind: type[Between]) -> None:
    torch.manual_seed(0)
    module, image = kind().eval(), torch.rand(1, 3, 12, 10)
    with torch.no_grad():
        right = module(image)
    found = fm.trace(module, (3, 12, 10)).maps(image, "second:conv", progress=False)["second:conv"].values
    assert torch.allclose(found, right.expand_as(found) if kind is not FrozenStem else right - image.mean(), atol=1e-5)


class Bytes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.float() / 255)


class Halved(Bytes):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.to(torch.float32)).to(torch.bfloat16).float() * 2


@pytest.mark.parametrize("kind", [Bytes, Halved], ids=lambda kind: kind.__name__)
def test_casts_in_a_forward_are_asked_about(kind: type[Bytes]) -> None:
    module = kind().eval()
    image = torch.randint(0, 255, (1, 3, 12, 12), dtype=torch.uint8) if kind is Bytes else torch.rand(1, 3, 12, 12)
    net = fm.trace(module, inputs=image)
    exact = net.maps(image, "conv:conv", dtype=torch.float64, progress=False)["conv:conv"].values
    scaled = image.double() / 255 if kind is Bytes else image.double()
    right = functional.conv2d(scaled, module.conv.weight.double(), module.conv.bias.double()).detach()
    assert exact.dtype == torch.float64
    assert torch.allclose(exact, right, atol=1e-9)
    assert net.explain(image, "conv:conv/1@2,3").conv == pytest.approx(float(right[0, 1, 2, 3]), abs=1e-6)
    assert net.contributions(image, "conv/1").address.startswith("conv")
    net.occlude(image, "conv:conv/1@2,3", window=4, stride=4, verify=2, progress=False)


PIXELS = {
    "cast": lambda x: x.float() / 255,
    "divided": lambda x: x / 255,
    "multiplied": lambda x: x * 0.5,
    "cast twice": lambda x: x.long().float() / 255,
    "turned": lambda x: x.permute(0, 1, 3, 2) / 255,
    "mirrored": lambda x: x.flip(3).float() / 255,
    "channels swapped": lambda x: x[:, [2, 1, 0]] / 255,
    "cut and joined": lambda x: torch.cat([x[:, :, :4], x[:, :, 4:]], 2) / 255,
    "padded": lambda x: functional.pad(x, (0, 0, 1, 0))[:, :, 1:] / 255,
    "masked": lambda x: (x / 255) * (x > 100),
}


class Prepared(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.conv, self.prepare = nn.Conv2d(3, 4, 3), PIXELS[name]

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.prepare(x))


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_of_whole_numbers_have_the_gradient_of_the_same_real_ones(name: str) -> None:
    torch.manual_seed(0)
    module, image = Prepared(name).eval(), torch.randint(0, 255, (1, 3, 12, 12), dtype=torch.uint8)
    numbers = image.float().requires_grad_()
    # Whole numbers are real ones too: a cast to them in between changes nothing of these.
    real = numbers / 255 if name == "cast twice" else PIXELS[name](numbers)
    (right,) = torch.autograd.grad(module.conv(real)[0, 1, 2, 3], numbers)
    found = fm.trace(module, inputs=image).project(image, "conv:conv/1@2,3", "gradient", start="one", progress=False)
    assert right.any()
    assert torch.allclose(found.on_image().float(), right[0], atol=1e-6)


class Swin(nn.Module):
    """A mask that is made of constants by slices and a view of turned memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.signs = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.zeros(4, 4)
        mask[:2] = 1
        turned = mask.view(2, 2, 2, 2).permute(0, 2, 1, 3).contiguous().view(4, 4)[:, :1].view(1, 4, 1, 1)
        return self.conv(x) * turned + functional.conv2d(x, torch.where(self.signs > 0, self.signs, 0 * self.signs))


def test_constants_of_any_type_are_computed_as_the_model_computes_them() -> None:
    module, image = Swin().eval(), torch.rand(1, 3, 12, 12)
    net = fm.trace(module, (3, 12, 12))
    with torch.no_grad():
        right = module(image)
    assert torch.allclose(net.maps(image, "add:z", progress=False)["add:z"].values, right, atol=1e-6)
    kernels = torch.where(module.signs > 0, module.signs, 0 * module.signs)
    value = float(functional.conv2d(image, kernels).detach()[0, 1, 2, 3])
    assert net.explain(image, "conv2d:conv/1@2,3").conv == pytest.approx(value, abs=1e-6)


class Grey(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.expand(-1, 3, -1, -1)).relu()


def test_a_grey_image_expanded_to_three_channels_is_projected() -> None:
    module, image = Grey().eval(), torch.rand(1, 1, 12, 12, requires_grad=True)
    (right,) = torch.autograd.grad(module(image)[0, 1, 2, 3], image)
    net = fm.trace(module, (1, 12, 12))
    found = net.project(image.detach(), "conv:a/1@2,3", "gradient", start="one", progress=False)
    assert torch.allclose(found.on_image(), right[0], atol=1e-6)
    assert len(net.project(image.detach(), "conv:a", progress=False)) == 4
    net.sheet(torch.rand(3, 1, 12, 12), "conv:a", k=2, progress=False)
