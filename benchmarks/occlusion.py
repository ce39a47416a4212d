"""Occlusion against Captum and against plain batched full runs: same image, same windows, float32."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

import featmap as fm
from benchmarks.measure import Paired, seconds, table
from featmap.methods.shared.windows import fill, occluded, windows
from featmap.sources.zoo import import_torchvision

CLASSES = (
    ("vgg16", 224),
    ("resnet50", 224),
    ("resnet18", 224),
    ("squeezenet1_1", 224),
    ("googlenet", 224),
    ("densenet121", 224),
    ("mobilenet_v2", 224),
    ("efficientnet_b0", 224),
    ("shufflenet_v2_x1_0", 224),
    ("resnet50", 448),
)
UNITS = (("vgg16", "features.21:a/7@14,14"), ("vgg16", "features.14:a/7@28,28"))
BATCHES = (8, 32)
SAMPLE = 32
ROUNDS = 2


def run() -> str:
    import_torchvision()
    units = _until_interrupted(_unit_row, UNITS)
    rows = _until_interrupted(_class_row, CLASSES)
    columns = ["network", "input", "featmap s", "over plain runs", "over Captum", "ceiling", "share of the ceiling"]
    return (
        "## Occlusion\n\n"
        "Window 16, stride 8, baseline 0, one class score. featmap: all windows, the whole call. Plain runs (batched, "
        "channels last, inference mode) and Captum's `Occlusion` pay a full run per window; they are timed on about "
        f"{SAMPLE} windows at the better batch of {BATCHES[0]} and {BATCHES[1]}, and multiplied by the number of "
        f"windows. Ratios per round, median of {ROUNDS} rounds (one at 448; least to most). The ceiling is the gain in "
        "multiply-adds of recomputing exactly what can change; the share is the gain over plain runs by it.\n\n"
        + table(columns, rows)
        + "\n\nOne unit, against plain runs up to its layer:\n\n"
        + table(["network", "unit", "featmap s", "over plain runs up to the layer"], units)
    )


def _until_interrupted(measure: Callable[..., list[str]], questions: Sequence[tuple[str, object]]) -> list[list[str]]:
    """The rows that were measured before an interrupt, so that a long run can be cut short."""
    rows: list[list[str]] = []
    try:
        for question in questions:
            rows.append(measure(*question))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted: the rest is left out", file=sys.stderr)
    return rows


def _class_row(name: str, size: int) -> list[str]:
    module = module_of(name)
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    net = fm.trace(module, (3, size, size))
    count = windows(size, size, 16, 8).count

    def ours() -> float:
        return seconds(lambda: net.occlude(image[0], 5, window=16, stride=8, progress=False))

    plain = _best(lambda batch: _plain_s(module, image, batch) * count)
    captum = _best(lambda batch: _captum_s(module, image, batch) * count)
    rounds = [(ours(), plain(), captum()) for _ in range(ROUNDS if size == 224 else 1)]
    mine, theirs, others = zip(*rounds, strict=True)
    cost = net.occlusion_cost(5)
    over_plain = Paired(mine, theirs)
    share = over_plain.ratio / cost.ceiling
    return [
        name,
        str(size),
        f"{statistics.median(mine):.2f}",
        over_plain.ratio_text(),
        Paired(mine, others).ratio_text(),
        f"{cost.ceiling:.2f}x",
        f"{share:.0%}",
    ]


def _unit_row(name: str, address: str) -> list[str]:
    module = module_of(name)
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    net = fm.trace(module, (3, 224, 224))
    count = windows(224, 224, 16, 8).count
    layer = address.partition(":")[0]
    head = module.features[: int(layer.rpartition(".")[2]) + 2]

    def ours() -> float:
        return seconds(lambda: net.occlude(image[0], address, window=16, stride=8, progress=False))

    plain = _best(lambda batch: _plain_s(head, image, batch) * count)
    ours()
    rounds = [(ours(), plain()) for _ in range(ROUNDS)]
    mine, theirs = zip(*rounds, strict=True)
    return [name, address, f"{statistics.median(mine):.3f}", Paired(mine, theirs).ratio_text()]


def module_of(name: str) -> nn.Module:
    from torchvision.models import get_model

    torch.manual_seed(0)
    arguments = {"init_weights": False} if name == "googlenet" else {}
    return get_model(name, **arguments).eval()


def _best(timed: Callable[[int], float]) -> Callable[[], float]:
    """The timing at the better of the batches, chosen by one run of each."""
    first = {batch: timed(batch) for batch in BATCHES}
    best = min(first, key=lambda batch: first[batch])
    return lambda: timed(best)


def _plain_s(module: nn.Module, image: Tensor, batch: int) -> float:
    """Seconds per window of full runs in batches."""
    module = module.to(memory_format=torch.channels_last)
    found = windows(image.shape[2], image.shape[3], 16, 8)
    filling = fill(image[0], 0.0)
    boxes = [found.box(row, column) for row in range(2) for column in range(len(found.columns))]
    images = torch.stack([occluded(image[0], boxes[at % len(boxes)], filling) for at in range(max(SAMPLE, batch))])
    images = images.contiguous(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                module(images[start : start + batch])

    return seconds(work) / len(images)


def _captum_s(module: nn.Module, image: Tensor, batch: int) -> float:
    """Seconds per window of Captum's occlusion, on fewer windows: as wide as the image, which costs it the same."""
    from captum.attr import Occlusion

    module = module.to(memory_format=torch.contiguous_format)
    width = image.shape[3]
    count = len(windows(image.shape[2], width, (16, width), (8, width)).rows)
    method = Occlusion(module)

    def work() -> None:
        with torch.no_grad():
            method.attribute(
                image,
                sliding_window_shapes=(3, 16, width),
                strides=(3, 8, width),
                target=5,
                baselines=0,
                perturbations_per_eval=batch,
            )

    return seconds(work) / count
