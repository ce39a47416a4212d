"""The demo's section on a whole dataset: an index of some thousand crops, its strongest crops and its audit."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image

from featmap.api import Index, Network
from featmap.demo.crops import PHOTOGRAPHS, Crop, crops
from featmap.errors import IndexBroken, NoIndex, OtherIndex
from featmap.index.questions.audit import Audit
from featmap.view.output import write_files
from featmap.view.report.page import Report

CROPS_NAME, INDEX_NAME = "crops.tar", "crops.fmi"
PER_PHOTOGRAPH = 250
LAYERS = ("features.7", "features.12")
SHOWN, K = 10, 9


def indexed(folder: Path, small: Network, per_photograph: int = PER_PHOTOGRAPH) -> Index:
    """The index of held-out crops, which are in one tar file beside it; an existing one is used again."""
    images = folder / CROPS_NAME
    write_files({images: packed(crops("test", per_photograph, seed=1))})
    path = folder / INDEX_NAME
    try:
        return Index.build(small, images, path)
    except (OtherIndex, NoIndex, IndexBroken):
        # It is damaged or of an earlier network; the demo made it, and makes it again.
        shutil.rmtree(path)
        return Index.build(small, images, path)


def packed(found: Iterable[Crop]) -> bytes:
    """The crops as PNG in a tar file, a folder for every photograph; the same bytes for the same crops."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number, crop in enumerate(found):
            picture = io.BytesIO()
            crop.image.save(picture, "PNG", compress_level=1)
            member = tarfile.TarInfo(f"{crop.photograph}/{number:05}.png")
            member.size = picture.tell()
            picture.seek(0)
            tar.addfile(member, picture)
    return buffer.getvalue()


def dataset(report: Report, index: Index, keep: Callable[[Sequence[Image.Image], str], None]) -> Report:
    """The report's section on a whole dataset."""
    report = report.section("Index: what a whole dataset says")
    report = report.text(
        f"{index.images:,} crops of the {len(PHOTOGRAPHS)} photographs, from areas that training never saw, went "
        "through the network once; of every image and map the index keeps the largest value and where it is. Below are "
        "for the strongest maps of two layers the crops that excite them most, cut to exactly what the strongest unit "
        "can see."
    )
    for layer in LAYERS:
        sheet = index.top_sheet(layer, _strongest_maps(index, layer), K)
        keep(sheet.pages(), f"top-{layer}.png")
        words = (
            f"`{sheet.address}`: the {len(sheet.maps)} maps with the largest values over all {index.images:,} crops. "
            "They are other crops than those under Projections, and more of them: so are the values."
        )
        report = report.figure(sheet.pages(), words)
    report = report.subsection("Audit: which maps are of no use")
    headings, rows = audit_cells(index.audit())
    report = report.table(headings, rows, "Maps that are above 0 nowhere, on few images, or that say what others say.")
    strongest = index.distribution(_strongest(index, LAYERS[-1]))
    keep(strongest.pages(), "distribution.png")
    return report.subsection("One map over all crops").figure(
        strongest.show(), f"`{strongest.address}`, the map with the largest value: how strongly each crop excites it."
    )


def _strongest_maps(index: Index, layer: str) -> list[int]:
    """The channels with the largest values, ascending."""
    best = [(each.examples[0].value, channel) for channel, each in enumerate(index.top_sheet(layer, k=1).maps)]
    return sorted(channel for _, channel in sorted(best, key=lambda pair: (-pair[0], pair[1]))[:SHOWN])


def _strongest(index: Index, layer: str) -> str:
    return max(index.top_sheet(layer, k=1).maps, key=lambda each: each.examples[0].value).address


def audit_cells(audit: Audit) -> tuple[list[str], list[list[str | int]]]:
    """The audit as the report's table shows it."""
    headings = ["layer", "maps", "dead", "nearly dead", "constant", "sparsity", "redundant pairs"]
    rows: list[list[str | int]] = []
    for layer in audit.layers:
        pairs = "?" if layer.redundant_pairs is None else len(layer.redundant_pairs)
        deaths = [len(channels) if layer.rectified else "-" for channels in (layer.dead, layer.nearly_dead)]
        numbers = [layer.maps, *deaths, len(layer.constant)]
        rows.append([f"`{layer.address}`", *numbers, f"{layer.sparsity:.1%}", pairs])
    return headings, rows
