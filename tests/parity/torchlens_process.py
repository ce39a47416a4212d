"""What TorchLens keeps of a forward, noted in a process of its own.

TorchLens replaces torch's functions by its own, and leaves them so: no other test should run on those.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

KINDS = {
    "conv2d": "conv2d",
    "batch_norm": "batch_norm",
    "relu": "relu",
    "relu6": "relu6",
    "hardtanh": "relu6",
    "max_pool2d": "max_pool2d",
    "add": "add",
    "iadd": "add",
    "cat": "cat",
    "linear": "linear",
    "adaptive_avg_pool2d": "adaptive_avg_pool2d",
}
"""Operators of which each makes one value on both sides: their name there or here, and the one that both get."""


@dataclass(frozen=True)
class Kept:
    """What TorchLens knows of one operator of a forward.

    `modules` are the calls of modules that returned the value, as path and number; `field` and `stride` are pairs of
    rows and columns, where it knows them.
    """

    label: str
    kind: str | None
    module: str
    modules: tuple[str, ...]
    value: Tensor
    macs: int
    field: tuple[float, ...] | None
    stride: tuple[float, ...] | None


Asked = dict[str, tuple[nn.Module, Tensor]]


def kept(asked: Asked, folder: Path) -> dict[str, list[Kept]]:
    """For each network what TorchLens keeps of its forward for an image, in the order of the run."""
    torch.save(asked, folder / "asked.pt")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, __file__, str(folder)], env=environment, check=True)
    found = torch.load(folder / "kept.pt", weights_only=True)
    return {name: [Kept(**entry) for entry in entries] for name, entries in found.items()}


def main(folder: Path) -> None:
    """The process itself: reads the networks from the folder, and writes what was kept beside them."""
    import torchlens

    from featmap.sources.zoo import import_torchvision

    import_torchvision()
    asked: Asked = torch.load(folder / "asked.pt", weights_only=False)
    # Older versions look for torchvision's compiled operators where it is loaded; a CPU build of torch may lack them.
    sys.modules.pop("torchvision")
    found: dict[str, list[dict[str, Any]]] = {}
    for name, (module, image) in asked.items():
        with torch.no_grad():
            trace = torchlens.trace(module, image)
        found[name] = [asdict(_noted(op)) for op in trace.ops if op.is_compute_op]
    torch.save(found, folder / "kept.pt")


def _noted(op: Any) -> Kept:
    try:
        field, stride = (tuple(map(float, pair)) for pair in (op.receptive_field.size, op.receptive_field.jump))
    except Exception:
        # Behind an operator that reads the whole map it says that there is none.
        field = stride = None
    kind = KINDS.get(str(op.func_name).strip("_"))
    modules = tuple(str(call) for call in op.output_of_module_calls)
    value = op.out.detach().clone()
    return Kept(op.label, kind, str(op.module), modules, value, int(op.macs_forward or 0), field, stride)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
