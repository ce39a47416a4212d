"""Every type of result, made from one small network and one small index, with the files that it can be saved as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import featmap as fm

SHAPE = (3, 12, 10)


def network(dtype: torch.dtype = torch.float32) -> fm.Network:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 10 * 8, 3))
    return fm.trace(body.to(dtype).eval(), SHAPE)


def images(count: int = 6, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1)).to(dtype)


def folder_of_pictures(path: Path) -> Path:
    for number, values in enumerate(images()):
        folder = path / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = (values * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return path


class Made:
    """The results of one network and one index, made when they are asked for."""

    def __init__(self, place: Path) -> None:
        self.net = network()
        self.place = place
        self.index = fm.Index.build(self.net, folder_of_pictures(place / "pictures"), place / "kept.fmi")
        self.picture = Image.fromarray(np.full((12, 10, 3), 90, np.uint8))


# What a type is made by, and the files that it can be saved as.
PLAIN = (".json", ".txt")
MAP_FILES = (".png", ".npz", ".safetensors")
CONTRACT: dict[str, tuple[Callable[[Made], Any], tuple[str, ...]]] = {
    "Plan": (lambda m: m.net.plan(), (".csv", *PLAIN)),
    "FieldAnswer": (lambda m: m.net.receptive_field("0:a/1@2,3"), PLAIN),
    "FieldDrawing": (lambda m: m.net.draw_field(m.picture, "0:a/1@2,3"), (".png", *PLAIN)),
    "FeatureMaps": (lambda m: m.net.maps(images(2), "0:a")["0:a"], MAP_FILES),
    "MapSet": (lambda m: m.net.maps(images(2)), MAP_FILES),
    "Explanation": (lambda m: m.net.explain(images(1), "0:a/1@2,3"), (".png", *PLAIN)),
    "Contributions": (lambda m: m.net.contributions(images(1), "0/1"), (".png", *PLAIN)),
    "LayerMatrix": (lambda m: m.net.layers[0].as_matrix(), PLAIN),
    "OcclusionMap": (lambda m: m.net.occlude(images(1), 0, 4, 4), (".png", ".npz", *PLAIN)),
    "OcclusionMaps": (lambda m: m.net.occlude(images(2), 0, 4, 4), (".png", ".npz", *PLAIN)),
    "OcclusionCost": (lambda m: m.net.occlusion_cost(0, 4, 4), PLAIN),
    "Projection": (lambda m: m.net.project(images(1), "0/1"), (".png", ".npz", *PLAIN)),
    "Projections": (lambda m: m.net.project(images(1), "0:a"), (".png", ".npz", *PLAIN)),
    "ProjectionsByImage": (lambda m: m.net.project(images(2), "0:a"), (".png", ".npz", *PLAIN)),
    "Sheet": (lambda m: m.net.sheet(images(), "0"), (".png", ".npz", *PLAIN)),
    "BuildReport": (lambda m: m.index.report, PLAIN),
    "IndexSummary": (lambda m: m.index.summary(), PLAIN),
    "TopImages": (lambda m: m.index.top("0:a/1"), (".png", ".csv", *PLAIN)),
    "TopSheet": (lambda m: m.index.top_sheet("0:a"), (".png", ".csv", *PLAIN)),
    "Audit": (lambda m: m.index.audit(), (".csv", *PLAIN)),
    "SimilarImages": (lambda m: m.index.similar(0, "0:a"), (".png", ".csv", *PLAIN)),
    "Distribution": (lambda m: m.index.distribution("0:a/1"), (".png", ".csv", *PLAIN)),
    "Selectivity": (lambda m: m.index.selectivity("0:a"), (".csv", *PLAIN)),
    "Comparison": (lambda m: m.index.compare(m.index), (".csv", *PLAIN)),
    "Verification": (lambda m: m.index.verify(), PLAIN),
}
