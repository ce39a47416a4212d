"""What a change of the input reaches, and what a target needs: intervals for every value of a graph.

Forwards: what each position of a change can affect. Backwards: what a target reads. A value is recomputed on the
intersection; behind an operator that reads whole maps everything is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featmap.geometry import AxisRule, Box, Interval
from featmap.geometry.interval import EMPTY
from featmap.graph.sized_graph import SizedGraph
from featmap.run.region.patches.spans import Spans, spans


@dataclass(frozen=True, eq=False)
class Reach:
    """For every value (by node) that a change reaches the spans of its rows and columns.

    `needed` are the boxes that the target reads, for every value on the way to it.
    """

    rows: dict[int, Spans]
    columns: dict[int, Spans]
    needed: dict[int, Box]


def needed_boxes(sized: SizedGraph, target: int, box: Box | None = None) -> dict[int, Box]:
    """What a box of a value (all of it, if none is given) reads of every value before it, cut to the maps."""
    needed = {target: box or full_box(sized, target)}
    for index in range(target, -1, -1):
        if index not in needed:
            continue
        for source, rules in sized.reads(index):
            each = zip(rules, needed[index].axes, sized.size(source), strict=True)
            reading = Box.of(*(rule.needed(wanted, size).clip(size) for rule, wanted, size in each))
            needed[source] = needed[source].hull(reading) if source in needed else reading
    return needed


def full_box(sized: SizedGraph, index: int) -> Box:
    """The whole map of a value."""
    return Box.full(sized.size(index))


def reach(sized: SizedGraph, rows: Sequence[Interval], columns: Sequence[Interval], needed: dict[int, Box]) -> Reach:
    """What changes of the image input at rows x columns reach of what is needed."""
    image = sized.graph.image_input
    row_reach = _axis_reach(sized, list(rows), needed, image, axis=0)
    column_reach = _axis_reach(sized, list(columns), needed, image, axis=1)
    return Reach(row_reach, column_reach, needed)


def _axis_reach(
    sized: SizedGraph, changed: list[Interval], needed: dict[int, Box], image: int, axis: int
) -> dict[int, Spans]:
    found = {image: _spans(changed, needed[image], axis)} if image in needed else {}
    for index in sorted(needed):
        if index == image:
            continue
        readings = [(source, rules[axis]) for source, rules in sized.reads(index) if source in found]
        if readings:
            found[index] = _spans(_changed(sized, readings, found, axis), needed[index], axis)
    return found


def _changed(
    sized: SizedGraph, readings: list[tuple[int, AxisRule]], found: dict[int, Spans], axis: int
) -> list[Interval]:
    count = len(found[readings[0][0]])
    union = [EMPTY] * count
    for source, rule in dict.fromkeys(readings):
        size = sized.size(source)[axis]
        known: dict[Interval, Interval] = {}
        for position, interval in enumerate(found[source].changed):
            if interval not in known:
                known[interval] = EMPTY if interval.is_empty else rule.affected(interval, size)
            union[position] = union[position].hull(known[interval])
    return union


def _spans(changed: list[Interval], box: Box, axis: int) -> Spans:
    bounds = box.axes[axis]
    return spans([interval.intersection(bounds) for interval in changed], bounds)
