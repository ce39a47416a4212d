"""Refusals of models that are not a single graph: the error names the line, and torch itself prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import CaptureRefused, FeatmapError, InputError, KernelTooLarge
from support.tiny_modules import conv, written

SHAPE = (3, 8, 7)
BRANCH_REMEDY = "Decide it without looking at values (torch.where, masks), or trace the parts separately."


def branches_on_a_mean(self: nn.Module, x: Tensor) -> Tensor:
    if x.mean() > 0:
        return self.c(x)
    return x


def branches_in_a_loop(self: nn.Module, x: Tensor) -> Tensor:
    while x.abs().max() > 1:
        x = x / 2
    return self.c(x)


def takes_an_item(self: nn.Module, x: Tensor) -> Tensor:
    scale = x.max().item()
    return self.c(x) * (1 if scale > 2 else 2)


def asks_whether_any(self: nn.Module, x: Tensor) -> Tensor:
    return self.c(x) if (x > 0).any() else x


def line_of(forward: Callable[..., Any], text: str) -> str:
    """`FILE:LINE: SOURCE` of the line of a forward that holds the text."""
    import inspect

    lines, first = inspect.getsourcelines(forward)
    at = next(number for number, line in enumerate(lines) if text in line)
    return f"test_refusal.py:{first + at}: {lines[at].strip()}"


def refusal(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> FeatmapError:
    with pytest.raises(FeatmapError) as caught:
        fm.trace(module, shape)
    return caught.value


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (branches_on_a_mean, "x.mean()"),
        (branches_in_a_loop, "while"),
        (takes_an_item, "1 if scale > 2"),
        (asks_whether_any, ".any()"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_branch_on_values_is_named_with_its_line(
    forward: Callable[..., Any], text: str, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    error = refusal(written(forward, c=conv(3, 3)))
    assert isinstance(error, CaptureRefused)
    assert str(error) == (
        "the forward of Written branches on values of a tensor, so it is not a single graph.\n"
        f"  {line_of(forward, text)}\n\n{BRANCH_REMEDY}"
    )
    assert tuple(capfd.readouterr()) == ("", "")
    assert not recwarn.list
    assert error.exit_code == 2


class KeepsWhatIsPositive(nn.Module):
    """A forward of a class: torch notes the lines of such forwards only."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0].sum()


@pytest.mark.parametrize(
    ("module", "where"),
    [
        (KeepsWhatIsPositive(), "the forward of KeepsWhatIsPositive"),
        (nn.Sequential(conv(3, 3), nn.Sequential(KeepsWhatIsPositive())), "'1.0'"),
    ],
)
def test_a_value_whose_size_depends_on_values_is_named_with_its_line(
    module: nn.Module, where: str, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    error = refusal(module)
    assert isinstance(error, CaptureRefused)
    assert str(error) == (
        f"{where} makes a value whose size depends on values of a tensor, so it has no shape before an image is "
        f"known.\n  {line_of(KeepsWhatIsPositive.forward, 'x > 0')}\n\n"
        "Keep the size and write over what is not wanted (torch.where, a product with a mask), or trace the parts "
        "before that line."
    )
    assert tuple(capfd.readouterr()) == ("", "")
    assert not recwarn.list


def test_a_branch_inside_a_block_is_named_with_the_blocks_path() -> None:
    module = nn.Sequential(conv(3, 3), nn.Sequential(written(branches_on_a_mean, c=conv(3, 3))))
    assert refusal(module).problem == (
        "'1.0' branches on values of a tensor, so it is not a single graph.\n"
        f"  {line_of(branches_on_a_mean, 'x.mean()')}"
    )


def test_the_cause_stays_attached() -> None:
    error = refusal(written(branches_on_a_mean, c=conv(3, 3)))
    assert error.__cause__ is not None


def test_another_number_of_channels_is_refused_with_the_layer() -> None:
    error = refusal(nn.Sequential(nn.Identity(), conv(5, 4)))
    assert isinstance(error, InputError)
    assert error.problem.startswith("'1' cannot take its input; the network was given 1 x 3 x 8 x 7: ")
    assert (
        error.remedy
        == "Give the shape of one image that the network was made for: channels, rows, columns (--input CxHxW)."
    )


def test_the_shapes_of_keyword_inputs_are_told_too() -> None:
    class Keyword(nn.Sequential):
        def forward(self, *, image: Tensor) -> Tensor:
            return super().forward(image)

    with pytest.raises(InputError, match="the network was given 1 x 3 x 8 x 7: "):
        fm.trace(Keyword(conv(5)), kwargs={"image": torch.zeros(1, *SHAPE)})


def test_a_head_for_another_size_is_refused_with_the_layer() -> None:
    error = refusal(nn.Sequential(conv(), nn.Flatten(), nn.Linear(100, 2)))
    assert isinstance(error, InputError)
    assert error.problem.startswith("'2' cannot take its input; the network was given 1 x 3 x 8 x 7: ")


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (
            nn.Conv2d(4, 4, 7, dilation=2, padding=1),
            "'1': kernel 7 with dilation 2 spans 13 rows, the padded input has 10 (8 rows + 1 above + 1 below).",
        ),
        (
            nn.Conv2d(4, 4, (1, 9)),
            "'1': kernel 9 spans 9 columns, the padded input has 7 (7 columns + 0 left + 0 right).",
        ),
        (
            nn.MaxPool2d((2, 9)),
            "'1': kernel 9 spans 9 columns, the padded input has 7 (7 columns + 0 left + 0 right).",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_an_input_smaller_than_a_kernel_is_refused_with_the_arithmetic(layer: nn.Module, problem: str) -> None:
    error = refusal(nn.Sequential(conv(), layer))
    assert isinstance(error, KernelTooLarge)
    assert error.problem == problem
    assert error.remedy.startswith("Use an input of at least ")


@pytest.mark.parametrize(
    "layer",
    [nn.ConvTranspose2d(5, 4, 9), nn.Conv2d(5, 4, 9, padding="same")],
    ids=lambda value: type(value).__name__,
)
def test_a_kernel_that_may_be_larger_than_its_input_is_not_blamed_for_wrong_channels(layer: nn.Module) -> None:
    error = refusal(nn.Sequential(conv(), layer))
    assert type(error) is InputError
    assert error.problem.startswith("'1' cannot take its input; the network was given 1 x 3 x 8 x 7: ")


def test_a_layer_along_one_axis_that_does_not_fit_is_named() -> None:
    error = refusal(nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 99)))
    assert type(error) is InputError
    assert error.problem.startswith("'1' cannot take its input; the network was given 1 x 3 x 8 x 7: ")


def test_an_error_of_the_models_own_is_passed_on_with_its_line() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        raise KeyError("no such head")

    error = refusal(written(forward))
    assert isinstance(error, CaptureRefused)
    assert str(error) == (
        "the forward of Written cannot be captured as a graph: KeyError: 'no such head'\n"
        f"  {line_of(forward, 'raise')}\n\n"
        "featmap reads a model through torch.export; the line above is where that stopped. Let it do the same with "
        "tensors and torch's operators, or trace the part of the model before it."
    )


@pytest.mark.parametrize("inputs", [[torch.zeros(1, 3, 8, 7)], {"x": torch.zeros(1, 3, 8, 7)}, 3], ids=str)
def test_where_no_line_of_the_model_is_the_reason_none_is_named(inputs: Any) -> None:
    with pytest.raises(CaptureRefused) as found:
        fm.trace(nn.Sequential(conv()), inputs=inputs)
    assert f"got ({type(inputs).__name__}, " in found.value.problem
    assert "\n" not in found.value.problem
    assert not found.value.problem.endswith(":")
    assert "the line above" not in found.value.remedy
    assert "inputs is a tuple of its arguments" in found.value.remedy


def test_a_tensor_is_one_input() -> None:
    image = torch.rand(1, 3, 8, 7)
    module = nn.Sequential(conv())
    alone, paired = (fm.trace(module, inputs=inputs) for inputs in (image, (image,)))
    assert alone.input_shape == paired.input_shape == (3, 8, 7)
    assert torch.equal(alone.maps(image, "0")["0"].values, paired.maps(image, "0")["0"].values)


def test_a_refusal_leaves_the_module_as_it_was() -> None:
    module = nn.Sequential(conv(3, 3), written(branches_on_a_mean, c=conv(3, 3))).train()
    module[0].eval()
    modes = [part.training for part in module.modules()]
    weights = [tensor.clone() for tensor in module.state_dict().values()]
    before = torch.get_rng_state()
    refusal(module)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(*pair) for pair in zip(module.state_dict().values(), weights, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.jit.is_tracing()


def test_an_object_beside_the_tensors_is_refused_in_words() -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dice = torch.Generator()

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(1, *SHAPE, generator=self.dice)

    assert str(refusal(Draws())) == (
        "rand reads a Generator, an object beside the tensors, which no graph holds.\n\n"
        "Let it do without: random numbers come from torch's own generator, where none is given."
    )
