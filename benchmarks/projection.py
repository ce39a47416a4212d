"""Projections against Captum's neuron deconvolution and against autograd unit by unit; a sheet's time and memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import featmap as fm
from benchmarks.measure import Paired, held_kib, seconds, table
from featmap.sources.zoo import import_torchvision

UNITS = 64
SAMPLE = 8
ROUNDS = 3
SHEET_IMAGES = 100


def run() -> str:
    import_torchvision()
    rows = [_captum_row("features.21"), _captum_row("features.10"), _autograd_row()]
    sheets = [_sheet_row(channels) for channels in (64, 512)]
    columns = ["network", "layer", "against", "featmap s", "theirs s", "faster"]
    return (
        "## Projections\n\n"
        f"{UNITS} units, the strongest of the first {UNITS} maps of a layer, on one image of 3 x 224 x 224, float32. "
        "featmap: the whole call. Captum's `NeuronDeconvolution` (on a network whose ReLUs do not write in place) and "
        f"autograd go unit by unit over the whole image; they are timed on {SAMPLE} of the units and multiplied. "
        "Autograd runs forward and backward for each unit, no gradient of a weight is asked for. Ratios per round, "
        f"median of {ROUNDS} rounds (least to most).\n\n"
        + table(columns, rows)
        + f"\n\nA sheet of VGG16 `features.21`, the 9 strongest of {SHEET_IMAGES} images per map, in a process of its "
        "own. Memory is the most that the process held beyond what it held after one forward of one image.\n\n"
        + table(["maps", "units", "seconds", "memory beyond one forward"], sheets)
    )


def _captum_row(layer: str) -> list[str]:
    from captum.attr import NeuronDeconvolution

    module = _module("vgg16")
    image = _image()
    units = _units(fm.trace(module, (3, 224, 224)), image, layer)
    relu = module.features[int(layer.rpartition(".")[2]) + 1]
    method = NeuronDeconvolution(module, relu)

    def theirs() -> None:
        for channel, row, column in units[:SAMPLE]:
            method.attribute(image.clone().requires_grad_(), (channel, row, column))

    return _row("vgg16", layer, "Captum", module, image, units, theirs, "deconvnet")


def _autograd_row() -> list[str]:
    module = _module("resnet50")
    image = _image()
    units = _units(fm.trace(module, (3, 224, 224)), image, "layer2.3")
    head = nn.Sequential(
        module.conv1,
        module.bn1,
        module.relu,
        module.maxpool,
        module.layer1,
        module.layer2,  # type: ignore[arg-type]
    )

    def theirs() -> None:
        for unit in units[:SAMPLE]:
            given = image.clone().requires_grad_()
            torch.autograd.grad(head(given)[(0, *unit)], given)

    return _row("resnet50", "layer2.3", "autograd", module, image, units, theirs, "gradient")


def _row(
    name: str,
    layer: str,
    peer: str,
    module: nn.Module,
    image: Tensor,
    units: list[tuple[int, int, int]],
    theirs: Any,
    rule: Any,
) -> list[str]:
    net = fm.trace(module, (3, 224, 224))
    asked = [f"{layer}:a/{channel}@{row},{column}" for channel, row, column in units]

    def ours() -> None:
        net.project(image, asked, rule, "one", progress=False)

    ours()
    theirs()
    rounds = [(seconds(ours), seconds(theirs) * len(units) / SAMPLE) for _ in range(ROUNDS)]
    mine, others = zip(*rounds, strict=True)
    times = f"{statistics.median(mine):.2f}", f"{statistics.median(others):.1f}"
    return [name, f"`{layer}`", peer, *times, Paired(mine, others).ratio_text()]


def _units(net: fm.Network, image: Tensor, layer: str) -> list[tuple[int, int, int]]:
    maps = net.maps(image, [layer], progress=False)[layer].values[0]
    places = maps[:UNITS].flatten(1).argmax(dim=1).tolist()
    return [(channel, *divmod(place, int(maps.shape[2]))) for channel, place in enumerate(places)]


def _module(name: str) -> nn.Module:
    from torchvision.models import get_model

    torch.manual_seed(0)
    module = get_model(name).eval()
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return module.requires_grad_(False)


def _image() -> Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def _sheet_row(channels: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.projection", str(channels)], capture_output=True, text=True, check=True
    )
    took, mebibytes = done.stdout.split()
    return [str(channels), str(channels * 9), took, f"{mebibytes} MiB"]


def _sheet(channels: int) -> None:
    """Prints seconds and mebibytes of a sheet; run in a process of its own."""
    import_torchvision()
    net = fm.trace(_module("vgg16"), (3, 224, 224))
    images = torch.randn(SHEET_IMAGES, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    net.maps(images[:1], ["features.21"], progress=False)
    # The most that was held is counted from here on: building the network took more than running it.
    Path("/proc/self/clear_refs").write_text("5")
    before = held_kib("VmRSS")
    took = seconds(lambda: net.sheet(images, "features.21", range(channels), 9, progress=False))
    print(f"{took:.0f} {(held_kib('VmHWM') - before) / 1024:.0f}")


if __name__ == "__main__":
    _sheet(int(sys.argv[1]))
