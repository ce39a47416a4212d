"""The whole command `featmap plan torchvision:resnet50 --json` against importing torch and torchvision alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.measure import paired, table

IMPORTS = "from featmap.sources.zoo import import_torchvision; import_torchvision()"


def run() -> str:
    command = str(Path(sys.executable).with_name("featmap"))

    def ours() -> None:
        subprocess.run([command, "plan", "torchvision:resnet50", "--json"], check=True, capture_output=True)

    def imports() -> None:
        subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True)

    pair = paired(ours, imports)
    cost = sorted(our / their for our, their in zip(pair.ours, pair.theirs, strict=True))
    row = [
        f"{sorted(pair.ours)[2]:.2f}",
        f"{sorted(pair.theirs)[2]:.2f}",
        f"{cost[2]:.2f} ({cost[0]:.2f} to {cost[-1]:.2f})",
    ]
    return (
        "## A plan\n\n`featmap plan torchvision:resnet50 --json` in a process of its own, against a process that only "
        "imports torch and torchvision. Median of 5 paired rounds; at most 1.6 is wanted.\n\n"
        + table(["plan s", "imports s", "plan / imports"], [row])
    )
