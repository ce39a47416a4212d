"""Keywords that several questions share: an unknown one is refused as Python refuses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import featmap as fm

IMAGES = torch.rand(2, 3, 6, 6)
QUESTIONS: dict[str, Callable[..., Any]] = {
    "occlude": lambda net, _path, **options: net.occlude(IMAGES, "0:z/0", 2, 2, **options),
    "project": lambda net, _path, **options: net.project(IMAGES, "0:z/0", **options),
    "sheet": lambda net, _path, **options: net.sheet(IMAGES, "0:z", **options),
    "build": lambda net, path, **options: fm.Index.build(net, IMAGES, path, **options),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_unknown_keyword(name: str, tmp_path: Path) -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 2, 3)), (3, 6, 6))
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected keyword argument 'devise'$"):
        QUESTIONS[name](net, tmp_path / "x.fmi", devise="cpu")
    assert not list(tmp_path.iterdir())
    QUESTIONS[name](net, tmp_path / "x.fmi", device="cpu")
