"""Gradients that a model defines itself: `gradient` equals autograd, or the result names the difference."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import featmap as fm
from support.between import Between


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


class WrittenThroughView(Between):
    """Autograd forbids this write, so the model cannot be captured with weights that want gradients."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            stopped = self.first(x) * 2
        y = self.first(x)
        part, _ = y.split(2, 1)
        part.add_(1)
        return self.second(y * stopped)


class WrittenBeside(WrittenThroughView):
    """The same in a way that autograd knows."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            stopped = self.first(x) * 2
        y = self.first(x)
        part, rest = y.split(2, 1)
        return self.second(torch.cat([part + 1, rest], 1) * stopped)


SAID = {
    OwnSign: ("Sign",),
    BlockInFunction: ("Doubled",),
    WrittenWhole: ("mul_ without gradient",),
    WrittenInPart: ("torch.no_grad", "copy_ without gradient"),
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


class WithoutGradients(Between):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()).relu()


class InferenceOnly(Between):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()).relu()


class Frozen(Between):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()).relu().detach()


class Compared(Between):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()).relu() > 0


ENDS = {WithoutGradients: "detach", InferenceOnly: "detach", Frozen: "detach", Compared: "gt"}
SHOWN = {
    "project": lambda net, image, rule: net.project(image, "[1,2,3]", rule, progress=False),
    "project a map": lambda net, image, rule: net.project(image, f"{net.graph_end}/1", rule, progress=False),
    "sheet": lambda net, image, rule: net.sheet(image, f"{net.graph_end}", channels=[1], rule=rule, progress=False),
}


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize("question", SHOWN)
@pytest.mark.parametrize("kind", ENDS, ids=lambda kind: kind.__name__)
def test_where_torch_gives_no_gradient_every_projection_refuses(kind: type[Between], question: str, rule: str) -> None:
    image = torch.rand(1, 3, 8, 8)
    with pytest.raises(RuntimeError, match="does not require grad"):
        kind()(image.clone().requires_grad_())[0, 1, 2, 3].backward()
    net = fm.trace(kind().eval(), (3, 8, 8))
    net.__dict__["graph_end"] = end = ENDS[kind]
    with pytest.raises(fm.errors.NoGradient) as raised:
        SHOWN[question](net, image, rule)
    assert str(raised.value) == (
        f"The model gives no gradient from '{end}' to the image: it ends at {end}.\n\n"
        "Where that is by torch.no_grad, torch.inference_mode or detach, take it off the forward and trace again, or "
        "ask for a value before it. Occlusions need no gradient: occlude."
    )
    # What is said to help does.
    assert net.project(image, "second:a/1@2,3", rule, progress=False).box.height
    assert net.occlude(image, "second:a/1@2,3", window=4, stride=4, progress=False).drop.shape
    assert net.contributions(image, "second/1").conv.shape == (8, 8)


def test_a_value_that_does_not_depend_on_the_image_has_no_projection() -> None:
    class Constant(Between):
        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.ones(1, 4, 8, 8)) + 0 * x[:, :1].detach()

    net = fm.trace(Constant().eval(), (3, 8, 8))
    with pytest.raises(fm.errors.NoGradient, match="it ends at detach"):
        net.project(torch.rand(1, 3, 8, 8), "[1,2,3]", progress=False)


@pytest.mark.parametrize("kind", [WithoutGradients, InferenceOnly])
def test_projections_inside_of_blocks_without_gradients_say_so(kind: type[Between]) -> None:
    net = fm.trace(kind().eval(), (3, 8, 8))
    assert net.project(torch.rand(1, 3, 8, 8), "second:a/1@2,3", progress=False).own_gradients == ("torch.no_grad",)


WORDS = "the model gives gradients of its own, here replaced by those of what is computed: Sign"


def test_sheets_pictures_and_texts_say_what_gradients_the_model_has_of_its_own() -> None:
    image = torch.rand(2, 3, 8, 8)
    net, plain = fm.trace(OwnSign().eval(), (3, 8, 8)), fm.trace(Checkpointed().eval(), (3, 8, 8))

    def results(of: fm.Network) -> list[Any]:
        sheet = of.sheet(image, "second:z", channels=[0, 1], progress=False)
        one = of.project(image[0], "second:z/1", progress=False)
        return [sheet, one, of.project(image[0], ["second:z/0", "second:z/1"], progress=False)]

    for result, without in zip(results(net), results(plain), strict=True):
        assert WORDS in result.show().info["Description"]
        assert WORDS in str(result)
        assert WORDS not in without.show().info["Description"] + str(without)
    sheet = results(net)[0]
    assert sheet.own_gradients == ("Sign",)
    assert sheet.to_dict()["own_gradients"] == ["Sign"]


def test_torch_is_as_it_was_after_a_capture() -> None:
    def state() -> list[object]:
        inference = [vars(torch.inference_mode)[name] for name in ("__enter__", "__exit__")]
        return [vars(torch.autograd.Function)["apply"], *inference, torch._C._set_grad_enabled]

    before = state()
    fm.trace(OwnSign().eval(), (3, 8, 8))
    with pytest.raises(fm.errors.FeatmapError):
        fm.trace(Between().eval(), (3, 8, 8))
    assert all(now is then for now, then in zip(state(), before, strict=True))


def test_blocks_without_gradients_are_kept_where_autograd_forbids_a_write() -> None:
    torch.manual_seed(0)
    beside, through = WrittenBeside().eval(), WrittenThroughView().eval()
    through.load_state_dict(beside.state_dict())
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    with pytest.raises(RuntimeError, match="is a view and is being modified inplace"):
        through(image)
    beside(image)[0, 1, 2, 3].backward()
    found = fm.trace(through, (3, 8, 8)).project(image.detach(), "[1,2,3]", "gradient", start="one", progress=False)
    torch.testing.assert_close(found.on_image(), image.grad[0])
    assert all(weight.requires_grad for weight in through.parameters())


class Siamese(torch.nn.Module):
    """Two images, each through convolutions of its own, and a value of neither."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (torch.nn.Conv2d(3, 4, 3) for _ in range(3))

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        of_b, of_c = self.two(b), self.three(c).detach()
        return self.one(a), of_b, of_c, of_b + of_c, self.one.weight.sum((2, 3))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("two/1", "'two:z' depends on the input 'b' alone; the image is the input 'a'."),
        ("three/1@2,2", "'three:z' depends on the input 'c' alone; the image is the input 'a'."),
        ("[2][1,2,2]", "depends on the input 'c' alone; the image is the input 'a'."),
        ("[3][1,2,2]", "depends on the inputs 'b' and 'c' alone; the image is the input 'a'."),
        ("[4][1,1]", "depends on no input of the model: it is the same for every image."),
    ],
)
def test_a_value_that_is_not_made_of_the_image_says_of_what(target: str, said: str) -> None:
    image = torch.rand(1, 3, 8, 8)
    net = fm.trace(Siamese(), inputs=(image, image + 1, image + 2))
    with pytest.raises(fm.errors.NoGradient) as raised:
        net.project(image, target)
    assert raised.value.problem.endswith(said)
    assert "no_grad" not in raised.value.remedy
    if target == "two/1":
        with pytest.raises(fm.errors.NoGradient, match="'b' alone"):
            net.sheet(image, "two")
    assert not net.project(image, "one/1", "gradient").is_zero
