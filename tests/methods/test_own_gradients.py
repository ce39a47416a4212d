"""Gradients that a model has of its own: `gradient` equals the module's autograd, or the result names what differs."""

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import featmap as fm
from between import Between


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        return gradient


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        with torch.no_grad():
            return x * 2

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        return gradient * 2


class OwnSign(Between):
    def between(self, y: Tensor) -> Tensor:
        return Sign.apply(y)


class BlockInFunction(Between):
    def between(self, y: Tensor) -> Tensor:
        return Doubled.apply(y)


class Checkpointed(Between):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(checkpoint(self.first, x, use_reentrant=True))


class Inference(Between):
    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        with torch.inference_mode():
            total = (y * 3).sum()
        return self.second(y) + total


class Data(Between):
    def between(self, y: Tensor) -> Tensor:
        return y + (y.sign() - y).data


class WrittenWhole(Between):
    def between(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            y.mul_(5)
        return y


class WrittenInPart(Between):
    def between(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            y[:, :2] *= 5
        return y


class RealAndComplex(Between):
    def between(self, y: Tensor) -> Tensor:
        return (torch.fft.fft(y, dim=-1) + y).real


SAID = {
    OwnSign: ("Sign",),
    BlockInFunction: ("Doubled",),
    WrittenWhole: ("mul_ without gradient",),
    WrittenInPart: ("copy_ without gradient",),
}
KINDS = [OwnSign, BlockInFunction, Checkpointed, Inference, Data, WrittenWhole, WrittenInPart, RealAndComplex]
DIFFERENT = (OwnSign, WrittenWhole, WrittenInPart)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_equal_or_said(kind: type[Between]) -> None:
    torch.manual_seed(0)
    module = kind().eval()
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    module(image)[0, 1, 2, 3].backward()
    right = image.grad
    assert right is not None
    found = fm.trace(module, (3, 8, 8)).project(image.detach(), "[1,2,3]", "gradient", start="one", progress=False)
    assert torch.allclose(found.on_image(), right[0], atol=1e-5) == (kind not in DIFFERENT)
    assert found.own_gradients == SAID.get(kind, ())
    assert found.semantics["own_gradients"] == list(found.own_gradients)


def test_torch_is_as_it_was_after_a_capture() -> None:
    def state() -> list[object]:
        inference = [vars(torch.inference_mode)[name] for name in ("__enter__", "__exit__")]
        return [vars(torch.autograd.Function)["apply"], *inference, torch._C._set_grad_enabled]

    before = state()
    fm.trace(OwnSign().eval(), (3, 8, 8))
    with pytest.raises(fm.errors.FeatmapError):
        fm.trace(Between().eval(), (3, 8, 8))
    assert all(now is then for now, then in zip(state(), before, strict=True))
