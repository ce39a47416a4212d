"""Where does an occlusion's time go, on the networks whose gain over Captum is smaller than wished?"""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

import featmap as fm
from benchmarks.measure import seconds, table
from benchmarks.occlusion import module_of
from featmap.sources.zoo import import_torchvision

NETWORKS = ("resnet50", "densenet121", "efficientnet_b0")


def run() -> str:
    import_torchvision()
    columns = ["network", "seconds", "in convolutions", "normalising, adding, ReLU", "ceiling over plain runs"]
    return (
        "## Occlusion: where the time goes\n\n"
        "ResNet-50 was wished at 3.5 times Captum's speed and DenseNet-121 at 2.5, EfficientNet-B0 not below plain "
        "runs. The same question as above, once under torch's profiler; the rest is gathering and bookkeeping. What "
        "stays is convolution itself, whose gain the ceiling bounds.\n\n"
        + table(columns, [_row(name) for name in NETWORKS])
    )


def _row(name: str) -> list[str]:
    net = fm.trace(module_of(name), (3, 224, 224))
    image = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(0))

    def work() -> None:
        net.occlude(image, 5, window=16, stride=8, progress=False)

    work()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        took = seconds(work)
    spent = {event.key: event.self_cpu_time_total / 1e6 for event in found.key_averages()}
    convolving = sum(s for key, s in spent.items() if "convolution" in key or "conv2d" in key)
    pointwise = ("aten::add", "aten::addcmul", "aten::clamp_min_", "aten::silu_", "aten::mul")
    other = sum(spent.get(key, 0.0) for key in pointwise)
    ceiling = net.occlusion_cost(5).ceiling
    return [name, f"{took:.1f}", f"{convolving / took:.0%}", f"{other / took:.0%}", f"{ceiling:.2f}x"]
