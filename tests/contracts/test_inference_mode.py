"""Inside of torch.inference_mode, and on tensors made there, every question answers as it does outside."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import CaptureRefused

IMAGES = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
ONE = IMAGES[:1]
with torch.inference_mode():
    THERE = IMAGES.clone()


def module() -> nn.Module:
    """SiLU takes its gradient from torch, at the image and behind a convolution."""
    torch.manual_seed(0)
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)]
    return nn.Sequential(nn.SiLU(), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 4, 3), *tail).eval()


PLAIN = module()


def built(images: Tensor, folder: Path) -> Any:
    net = fm.trace(PLAIN, (3, 12, 12))
    index = fm.Index.build(net, images, folder / f"{len(list(folder.iterdir()))}.fmi")
    similar = index.similar(images[0], "4:z", 1, net=net).to_dict()
    assert index.verify(net=net).is_sound
    return index.top("4:z/1", 2).to_dict(), similar["nearest"]


QUESTIONS: dict[str, Callable[[fm.Network, Tensor, Path], Any]] = {
    "trace": lambda _net, images, _: fm.trace(PLAIN, inputs=images[:1]).plan().to_dict(),
    "load": lambda _net, images, _: fm.load(f"{__name__}:made").maps(images, "4:z")["4:z"].values,
    "another size": lambda net, images, _: net.maps(images[:, :, :10], "4:z")["4:z"].values,
    "maps": lambda net, images, _: net.maps(images, "4:z")["4:z"].values,
    "project": lambda net, images, _: net.project(images[:1], "4:z/1", "gradient").values,
    "project a class": lambda net, images, _: net.project(images[:1], 2, "gradient").values,
    "occlude": lambda net, images, _: net.occlude(images[:1], 2, 4, 4, verify=1).to_dict(),
    "explain": lambda net, images, _: net.explain(images[:1], "4:z/1@2,2").to_dict(),
    "contributions": lambda net, images, _: net.contributions(images[:1], "4/1").values,
    "matrix": lambda net, _images, _: net.layers[0].as_matrix((4, 4)).matrix.values(),
    "sheet": lambda net, images, _: net.sheet(images, "4:z", rule="gradient").to_dict(),
    "draw_field": lambda net, images, _: net.draw_field(images[:1], "4:z/1@2,2").to_dict(),
    "index": lambda _net, images, folder: built(images, folder),
}


def made() -> nn.Module:
    return module()


made.input_shape = (3, 12, 12)  # pyright: ignore[reportFunctionMemberAccess]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question(question: str, tmp_path: Path) -> None:
    net = fm.trace(module(), (3, 12, 12))
    ask = QUESTIONS[question]
    expected = ask(net, IMAGES, tmp_path)
    found = [ask(net, THERE, tmp_path)]
    with torch.inference_mode():
        found += [ask(net, IMAGES, tmp_path), ask(net, THERE, tmp_path)]
        assert torch.is_inference_mode_enabled()
    for answer in found:
        if isinstance(expected, Tensor):
            assert bool(expected.any())
            assert torch.equal(answer, expected)
            assert not answer.is_inference()
        else:
            assert answer == expected


def test_a_module_made_there_is_refused_and_its_copy_is_not() -> None:
    with torch.inference_mode():
        there = module()
    with pytest.raises(CaptureRefused, match=r"'1\.weight' was made inside of torch\.inference_mode") as refused:
        fm.trace(there, (3, 12, 12))
    assert "copy.deepcopy(module)" in refused.value.remedy
    net = fm.trace(copy.deepcopy(there), (3, 12, 12))
    wanted = fm.trace(module(), (3, 12, 12)).project(ONE, 2, "gradient").values
    assert torch.equal(net.project(ONE, 2, "gradient").values, wanted)
