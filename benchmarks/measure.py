"""How are time and memory measured? Times alternately, so that every round sees the same machine, told as median and
spread; memory as the process holds it."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paired:
    """Seconds of ours and of theirs, round by round."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times faster we were, per round."""
        return [their / our for our, their in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def ratio_text(self) -> str:
        """Median and spread of the ratio."""
        return f"{self.ratio:.2f}x ({min(self.ratios):.2f} to {max(self.ratios):.2f})"


def paired(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5) -> Paired:
    """Both run once unmeasured, then alternately."""
    ours()
    theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    mine, others = zip(*times, strict=True)
    return Paired(mine, others)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> str:
    """What was measured on."""
    import torch

    cores = os.cpu_count()
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}, load {load:.1f} at the start"
    )


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def held_kib(name: str) -> int:
    """The resident memory of this process in KiB: now (VmRSS), or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
