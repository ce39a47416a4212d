"""The memory that a run takes, and the number of images that fit at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from featmap.graph.graph import Spec, TensorSpec
from featmap.graph.operators.moving.cutting import Item
from featmap.graph.operators.table import operator_of
from featmap.graph.schema import returns_view
from featmap.graph.sized_graph import SizedGraph
from featmap.run.program.steps import plan_steps

LARGEST_BATCH = 16
"""More images at once gain nothing: the caches are full long before."""


def size_bytes(spec: Spec) -> int:
    """The bytes of a value."""
    if isinstance(spec, TensorSpec):
        return spec.size_bytes
    return sum(part.size_bytes for part in spec if part is not None) if isinstance(spec, tuple) else 0


def activation_bytes(sized: SizedGraph) -> int:
    """The bytes of every value that an operator makes anew (views of other values count nothing)."""
    return sum(size_bytes(spec) for index, spec in enumerate(sized.specs) if _makes_memory(sized, index))


def _makes_memory(sized: SizedGraph, index: int) -> bool:
    node = sized.graph[index]
    if node.is_input or not node.depends_on_input:
        return False
    operator = operator_of(node)
    return not (operator.keeps_order or isinstance(operator, Item) or returns_view(node.target))


def peak_bytes(sized: SizedGraph, wanted: Iterable[int], *, keep_wanted: bool = True) -> int:
    """The most that values take at one moment of a run: everything live, each freed after its last reader.

    Wanted values are kept to the end, or else handed over one by one. The input counts; weights and the working
    memory of single operators do not.
    """
    wanted = frozenset(wanted)
    image = sized.graph.image_input
    owner: dict[int, int] = {image: image}
    holders: dict[int, set[int]] = {image: {image}}
    live = peak = size_bytes(sized.specs[image])
    for step in plan_steps(sized.graph, wanted, keep_wanted=keep_wanted):
        base = _memory_of(sized, step.result, step.overwrites, owner, step.node.inputs)
        owner[step.result] = base
        if base not in holders:
            holders[base] = set()
            live += size_bytes(sized.specs[step.result])
        holders[base].add(step.result)
        peak = max(peak, live)
        for index in step.frees:
            live -= _released(sized, index, owner, holders)
    return peak


def _memory_of(sized: SizedGraph, result: int, overwrites: bool, owner: dict[int, int], inputs: tuple[int, ...]) -> int:
    """The value whose memory holds a step's result: its own, or that of the input it overwrites or views."""
    if (overwrites or not _makes_memory(sized, result)) and inputs and inputs[0] in owner:
        return owner[inputs[0]]
    return result


def _released(sized: SizedGraph, index: int, owner: dict[int, int], holders: dict[int, set[int]]) -> int:
    base = owner.get(index)
    if base is None or base == sized.graph.image_input:
        # The caller holds the images.
        return 0
    holders[base].discard(index)
    return size_bytes(sized.specs[base]) if not holders[base] else 0


def available_bytes() -> int:
    """The memory that can still be used, as the operating system tells it."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def batch_size(per_image_bytes: int, count: int, budget_bytes: int | None = None) -> int:
    """How many images to run at once: what a quarter of the available memory holds, at most `LARGEST_BATCH`.

    >>> batch_size(2**30, 100, budget_bytes=4 * 2**30)
    4
    """
    budget = available_bytes() // 4 if budget_bytes is None else budget_bytes
    return max(1, min(count, LARGEST_BATCH, budget // max(per_image_bytes, 1)))
