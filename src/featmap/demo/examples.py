"""The demo's section on what maps respond to: projections and sheets over crops held out from training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from featmap.api import Network
from featmap.demo.crops import PHOTOGRAPHS, crops
from featmap.methods.sheet import Sheet
from featmap.view.report.page import Report

LAYERS = ("features.7", "features.12")
PER_PHOTOGRAPH = 25
SHOWN = 12
K = 9


def projections(
    report: Report,
    net: Network,
    small: Network,
    picture: Image.Image,
    unit: str,
    keep: Callable[[Sequence[Image.Image], str], None],
) -> Report:
    """The report's section on what the maps respond to; `small` is the network at the size of the crops."""
    report = report.section("Projections: what the maps respond to")
    report = report.text(
        "The signal of one unit is propagated back to the pixels through the transposed filters (Zeiler and Fergus "
        "2014): beside what the unit can see is what the unit responds to in it."
    )
    found = net.project(picture, unit, progress=False)
    keep(found.pages(), "projection.png")
    report = report.figure(found.show(), f"The strongest unit of its layer, `{unit}`, in the photograph.")
    held_out = [crop.image for crop in crops("test", PER_PHOTOGRAPH)]
    for layer in LAYERS:
        sheet = small.sheet(held_out, layer, _strongest_maps(small, held_out, layer), K, progress=False)
        keep(sheet.pages(), f"sheet-{layer}.png")
        report = report.figure(sheet.pages(), _caption(sheet))
    return report


def _strongest_maps(net: Network, images: Sequence[Image.Image], layer: str) -> list[int]:
    """The maps with the largest activations on these images."""
    largest = net.maps(list(images), layer, progress=False)[layer].values.amax(dim=(0, 2, 3))
    return sorted(largest.topk(min(SHOWN, len(largest))).indices.tolist())


def _caption(sheet: Sheet) -> str:
    return (
        f"`{sheet.address}`: the {len(sheet.examples)} maps with the largest activations on {sheet.images} crops of "
        f"{len(PHOTOGRAPHS)} photographs, from areas that training never saw. For each map the {sheet.k} crops that "
        "excite it most: what the strongest unit sees, and its projection."
    )
