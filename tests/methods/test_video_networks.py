"""torchvision's networks on videos: planned shapes, fields and maps are those of the modules."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.sources.zoo import import_torchvision

EACH_RUN = ("mc3_18",)
OTHERS = ("r3d_18", "r2plus1d_18", "s3d")
NAMES = EACH_RUN + (OTHERS if os.environ.get("FEATMAP_WHOLE_ZOO") else ())


@pytest.mark.parametrize("name", NAMES)
def test_maps_of_a_video_network_are_its_modules(name: str) -> None:
    net = fm.load(f"torchvision:{name}")
    shape = (3, 16, 112, 112) if name != "s3d" else (3, 16, 224, 224)
    assert net.input_shape == shape
    assert net.classes is not None
    assert net.preprocessing.describe() == "values as they are"
    small = (3, 14, 32, 32) if name != "s3d" else (3, 14, 224, 224)
    torch.manual_seed(0)
    module = import_torchvision().models.get_model(name, weights=None).eval()
    net = fm.trace(module, small)
    convolutions = {path: part for path, part in module.named_modules() if isinstance(part, nn.Conv3d)}
    kept: dict[str, Tensor] = {}
    hooks = [
        part.register_forward_hook(lambda _part, _given, made, path=path: kept.update({path: made.detach()}))
        for path, part in convolutions.items()
    ]
    image = torch.randn(1, *small)
    with torch.no_grad():
        module(image)
    for hook in hooks:
        hook.remove()
    maps = net.maps(image, [f"{path}:conv" for path in kept], progress=False)
    plan = net.plan()
    assert len(kept) >= 20
    for path, made in kept.items():
        values = maps[f"{path}:conv"].values
        torch.testing.assert_close(values, made, rtol=1e-4, atol=1e-4 * float(made.abs().max()))
        assert plan[path].output_shape == tuple(made.shape[1:])
        assert plan[path].receptive_field is not None
