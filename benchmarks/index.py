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

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import featmap as fm
from benchmarks.measure import held_kib, seconds, table
from benchmarks.synthetic_index import LABELS, MAPS, synthetic_index
from featmap.demo.crops import PHOTOGRAPHS, photograph
from featmap.network.zoo import import_torchvision
from featmap.run.program import Program
from featmap.run.statistics import map_statistics

NETWORKS = ("vgg16", "resnet50", "squeezenet1_1", "mobilenet_v2")
BUILT = ("vgg16", "resnet50", "squeezenet1_1")
ROUNDS, BUILD_ROUNDS = 5, 2
PHOTOS = {"vgg16": 96, "resnet50": 320, "squeezenet1_1": 1600}
IMAGES = 1_000_000
COUNTS = (1_000, 20_000)


def run() -> str:
    import_torchvision()
    return "\n\n".join(
        [
            "## An index of a dataset",
            "### Statistics of every map\n\n"
            "Maximum, its place, minimum, moments and positives of every convolution's `conv` stage, as each value is "
            "made, batch 8, 3 x 224 x 224, float32, over a plain forward of the module (inference mode, channels "
            "last); beside it the same with torch's operators (amax, argmax, amin, mean, var, a count) in forward "
            f"hooks. Times of the plain forward, median of {ROUNDS} paired rounds (least to most); at most 1.15 is "
            "wanted.\n\n"
            + table(
                ["network", "convolutions", "forward s", "featmap", "torch operators"], [_cost(n) for n in NETWORKS]
            ),
            "### Rate of a build\n\n"
            "`fm.Index.build` with its defaults (every layer's activation, table, strongest, quantiles, correlations), "
            "everything from opening files to the last commit, against a bare loop that decodes, preprocesses and runs "
            "batches of 16 (inference mode, channels last) and keeps nothing. JPEG files of 500 x 375. Median of "
            f"{BUILD_ROUNDS} paired rounds; at least 85% is wanted.\n\n"
            + table(
                ["network", "images", "maps", "bare loop images/s", "build images/s", "share"],
                [_rate(name) for name in BUILT],
            ),
            "### Questions on a million images\n\n"
            f"`top` on an index of {IMAGES:,} images and {MAPS} maps (made-up values, written in the layout of a "
            "build), from opening the index to the answer; median of 9 (least to most). Wanted: 50 ms, with a filter "
            "1 s.\n\n" + table(["question", "time"], _questions()),
            "### Memory\n\n"
            "The most memory that a build held (resident, a process of its own) beyond what it held after one block: "
            "images of 3 x 32 x 32 made one by one, four convolutions of 16 to 64 maps, all defaults.\n\n"
            + table(["images", "resident MiB at most", "MiB beyond the first block"], [_memory(n) for n in COUNTS]),
        ]
    )


def _module(name: str) -> nn.Module:
    from torchvision.models import get_model

    torch.manual_seed(0)
    return get_model(name).eval().to(memory_format=torch.channels_last)


def _cost(name: str) -> list[str]:
    module = _module(name)
    images = torch.randn(8, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    net = fm.trace(module, (3, 224, 224))._captured
    places = [net.resolver.stage_of(layer, "conv") for layer in net.layers if layer.kind == "convolution"]
    program = Program(net.captured, net.tensors, [place.node for place in places])

    def ours() -> None:
        for _, value in program.each(images):
            map_statistics(value)

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


def _rate(name: str) -> list[str]:
    module, count = _module(name), PHOTOS[name]
    net = fm.load(f"torchvision:{name}")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        files = _photographs(photos, count)
        number = iter(range(1000))

        def build() -> None:
            fm.Index.build(net, photos, Path(folder, f"{next(number)}.fmi"), progress=False)

        def bare() -> None:
            with torch.inference_mode():
                for start in range(0, count, 16):
                    values = [net.preprocessing(_opened(file)) for file in files[start : start + 16]]
                    module(torch.stack(values).contiguous(memory_format=torch.channels_last))

        build()
        bare()
        rounds = [(seconds(bare), seconds(build)) for _ in range(BUILD_ROUNDS)]
        maps = fm.Index.open(Path(folder, "0.fmi")).description.maps
    theirs, ours = zip(*rounds, strict=True)
    shares = [100 * bare_s / build_s for bare_s, build_s in rounds]
    rates = f"{count / statistics.median(theirs):.1f}", f"{count / statistics.median(ours):.1f}"
    return [
        name,
        str(count),
        str(maps),
        *rates,
        f"{statistics.median(shares):.0f}% ({min(shares):.0f} to {max(shares):.0f})",
    ]


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def _photographs(folder: Path, count: int) -> list[Path]:
    """JPEG files of 500 x 375: windows of real photographs."""
    folder.mkdir()
    random = np.random.default_rng(0)
    files: list[Path] = []
    for number in range(count):
        whole = photograph(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        side = min(whole.size) * 2 // 3
        left, top = (int(random.integers(0, size - side)) for size in whole.size)
        files.append(folder / f"{number:05}.jpg")
        whole.crop((left, top, left + side, top + side)).resize((500, 375)).save(files[-1], quality=90)
    return files


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
    most, beyond = done.stdout.split()
    return [f"{count:,}", most, beyond]


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
    """Prints the most memory that a build held, and how much more than after its first block; in MiB."""
    torch.manual_seed(0)
    net = fm.trace(_Small(), (3, 32, 32))
    after: list[int] = []
    block = 256

    def note(done: int, _: int) -> None:
        if done >= 2 * block and not after:
            after.append(held_kib("VmHWM"))

    with tempfile.TemporaryDirectory() as folder:
        fm.Index.build(net, _Made(count), Path(folder, "i.fmi"), block=block, progress=note)
    most = held_kib("VmHWM")
    print(f"{most / 1024:.0f} {(most - after[0]) / 1024:.0f}")


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
