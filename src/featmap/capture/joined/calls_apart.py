"""The numbers of module calls whose operators are in the graph once for each of several joined images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from featmap.graph.graph import ModuleCall

Stack = tuple[ModuleCall, ...]
Copied = tuple[Stack, int, int]
"""A stack of module calls, which copy of an operator runs in it, and of how many copies."""


def numbered_apart(*copied: Sequence[Copied]) -> list[Stack]:
    """The stacks with a separate call for each copy of a module that is copied entirely; later calls move on."""
    every = [entry for entries in copied for entry in entries]
    counts = _copies(every)
    before = _calls_before(counts)

    def renumbered(call: ModuleCall, copy: int) -> ModuleCall:
        at = copy if counts[call] > 1 else 0
        return replace(call, number=call.number + before[call] + at)

    return [tuple(renumbered(call, copy) for call in stack) for stack, copy, _ in every]


def _copies(every: Sequence[Copied]) -> dict[ModuleCall, int]:
    """The number of copies of each module call in the graph: 1 where some operator in it has no copies."""
    found: defaultdict[ModuleCall, set[int]] = defaultdict(set)
    for stack, _, copies in every:
        for call in stack:
            found[call].add(copies)
    return {call: next(iter(counts)) if len(counts) == 1 else 1 for call, counts in found.items()}


def _calls_before(counts: dict[ModuleCall, int]) -> dict[ModuleCall, int]:
    """How much the number of each call increases because of the copies of earlier calls."""
    moved: dict[ModuleCall, int] = {}
    added: defaultdict[str, int] = defaultdict(int)
    for call in sorted(counts, key=lambda call: (call.path, call.number)):
        moved[call] = added[call.path]
        added[call.path] += counts[call] - 1
    return moved
