"""The index of a dataset: what its statistics cost, the rate of a build, the time of a question, memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

import featmap as fm
from benchmarks import build_rate
from benchmarks.build_rate import module_of
from benchmarks.measure import held_kib, seconds, table
from benchmarks.synthetic_index import LABELS, MAPS, synthetic_index
from featmap.run.program.program import Program
from featmap.sources.zoo import import_torchvision
from featmap.statistics.maps import MapStatistics, measure_into

NETWORKS = ("vgg16", "resnet50", "squeezenet1_1", "mobilenet_v2")
ROUNDS = 11
IMAGES = 1_000_000
BLOCK, SHARES = 256, (0.05, 0.25, 0.5, 1.0)
COUNTS = (1_000, 20_000, 100_000)


def run() -> str:
    import_torchvision()
    parts = (_statistics, _rates, _million, _held)
    return "\n\n".join(["## An index of a dataset", *map(_said, parts)])


def _said(part: Callable[[], str]) -> str:
    """A part of the section, shown as soon as it is measured: all take a while."""
    text = part()
    print(text, file=sys.stderr, flush=True)
    return text


def _statistics() -> str:
    return (
        "### Statistics of every map\n\n"
        "Maximum, its place, minimum, moments and positives of every convolution's `conv` stage, as each value is "
        "made, batch 8, 3 x 224 x 224, float32, over a plain forward of the module (inference mode, channels "
        "last); beside it the same with torch's operators (amax, argmax, amin, mean, var, a count) in forward "
        f"hooks. Times of the plain forward, median of {ROUNDS} paired rounds (least to most); at most 1.15 is "
        "wanted.\n\n"
        + table(["network", "convolutions", "forward s", "featmap", "torch operators"], [_cost(n) for n in NETWORKS])
    )


def _rates() -> str:
    return (
        "### Rate of a build\n\n"
        "`fm.Index.build` with its defaults (every layer's activation, table, strongest, quantiles, correlations), "
        "everything from opening files to the last commit, against a bare loop that decodes, preprocesses and runs "
        "batches of 16 (inference mode, channels last) and keeps nothing. Each in a process of its own, warmed up "
        "by 32 images: a loop that follows a build in one process uses memory that the build has taken from the "
        "system already, and is up to a quarter faster. JPEG files of 500 x 375. Median of "
        f"{build_rate.ROUNDS} paired rounds (least to most); at least 85% is wanted.\n\n"
        + table(
            ["network", "images", "bare loop images/s", "build images/s", "share"],
            [build_rate.rate(name) for name in build_rate.PHOTOS],
        )
    )


def _million() -> str:
    return (
        "### Questions on a million images\n\n"
        f"`top` on an index of {IMAGES:,} images and {MAPS} maps (made-up values, written in the layout of a "
        "build), from opening the index to the answer; median of 9 (least to most). Wanted: 50 ms, with a filter "
        "1 s.\n\n" + table(["question", "time"], _questions())
    )


def _held() -> str:
    return (
        "### Memory\n\n"
        "The most memory that a build held until then (resident MiB, a process of its own): images of 3 x 32 x 32 "
        f"made one by one, four convolutions of 16 to 64 maps, blocks of {BLOCK}, all defaults. What is kept for "
        "quantiles grows with the images that are planned, up to 32 MiB, and fills in the first blocks.\n\n"
        + table(["images", *(f"after {share:.0%}" for share in SHARES)], [_memory(n) for n in COUNTS])
    )


def _cost(name: str) -> list[str]:
    module = module_of(name)
    images = torch.randn(8, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    net = fm.trace(module, (3, 224, 224))._captured
    places = [net.resolver.stage_of(layer, "conv") for layer in net.layers if layer.kind == "convolution"]
    maps = sum(net.resolver.channels(place.node) for place in places)
    program = Program(net.captured, net.tensors, [place.node for place in places])

    def ours() -> None:
        # As a build does: the statistics of all maps lie in one array.
        found, first = MapStatistics.empty(len(images), maps), 0
        for _, value in program.each(images):
            measure_into(found, first, value)
            first += value.shape[1]

    def plain() -> None:
        with torch.inference_mode():
            module(images)

    def theirs() -> None:
        with _hooked(module):
            plain()

    for work in (ours, plain, theirs):
        work()
    rounds = [(seconds(plain), seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    forward, mine, others = zip(*rounds, strict=True)
    return [name, str(len(places)), f"{statistics.median(forward):.3f}", _over(mine, forward), _over(others, forward)]


def _over(times: Sequence[float], plain: Sequence[float]) -> str:
    ratios = [one / other for one, other in zip(times, plain, strict=True)]
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


@contextmanager
def _hooked(module: nn.Module) -> Iterator[None]:
    """The statistics as one would write them with torch."""

    def measure(_: nn.Module, __: object, maps: Tensor) -> None:
        flat = maps.flatten(2)
        _ = flat.amax(2), flat.argmax(2), flat.amin(2), flat.mean(2), flat.var(2), (flat > 0).sum(2)

    handles = [part.register_forward_hook(measure) for part in module.modules() if isinstance(part, nn.Conv2d)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _questions() -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "million.fmi")
        synthetic_index(path, IMAGES)
        address = fm.Index.open(path).layers[0]
        maps = iter(range(7, MAPS, 13))
        asked: dict[str, Callable[[], object]] = {
            "the 9 strongest images of a map": lambda: fm.Index.open(path).top(f"{address}/{next(maps)}"),
            "the same among one of 100 labels": lambda: fm.Index.open(path).top(
                f"{address}/{next(maps)}", label=LABELS[3]
            ),
            "the same with values up to a bound": lambda: fm.Index.open(path).top(f"{address}/{next(maps)}", most=2.0),
        }
        return [[question, _milliseconds(work)] for question, work in asked.items()]


def _milliseconds(work: Callable[[], object]) -> str:
    work()
    times = sorted(1000 * seconds(work) for _ in range(9))
    return f"{times[4]:.0f} ms ({times[0]:.0f} to {times[-1]:.0f})"


def _memory(count: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.index", str(count)], capture_output=True, text=True, check=True
    )
    return [f"{count:,}", *done.stdout.split()]


class _Small(nn.Sequential):
    def __init__(self) -> None:
        widths = (3, 16, 32, 64, 64)
        parts: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*parts)


class _Made:
    """Images made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Tensor:
        return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(number))


def _hold(count: int) -> None:
    """Prints the most memory that a build held until after each of some shares of its images; in MiB."""
    torch.manual_seed(0)
    net = fm.trace(_Small(), (3, 32, 32))
    held: list[int] = []

    def note(done: int, _: int) -> None:
        while len(held) < len(SHARES) - 1 and done >= SHARES[len(held)] * count:
            held.append(held_kib("VmHWM"))

    with tempfile.TemporaryDirectory() as folder:
        fm.Index.build(net, _Made(count), Path(folder, "i.fmi"), block=BLOCK, progress=note)
    print(*(kib // 1024 for kib in (*held, held_kib("VmHWM"))))


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
