"""The values of a network on boxes alone: one region of one image, with true borders.

Public for other questions: crops, projections and units that see a small part of a large image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from featmap.geometry import Box, Interval, Whole
from featmap.graph.sized_graph import SizedGraph
from featmap.run.program.program import Program
from featmap.run.region.engine import NotRegional, RegionEngine
from featmap.run.region.patches.patches import Patches
from featmap.run.region.patches.spans import Spans
from featmap.run.region.reach import Reach, full_box


def values_on_boxes(
    program: Program,
    sized: SizedGraph,
    image: Shaped[Tensor, "1 channel row column"],
    needed: Mapping[int, Box],
    wanted: set[int],
) -> tuple[dict[int, Tensor], dict[int, Box]]:
    """The wanted values of one image (1, channel, row, column), each on the box that is needed of it.

    Where the boxes are most of the maps, or an operator reads a whole map, whole maps are computed.
    Returns: the values by node, and the boxes of those that are not whole maps.
    """
    if not pays(sized, needed):
        return program.run(image), {}
    rows = {index: one_span(box.rows) for index, box in needed.items()}
    columns = {index: one_span(box.columns) for index, box in needed.items()}
    engine = RegionEngine(program, sized, {})
    source = sized.graph.image_input
    box = needed[source]
    crop = program.placed_images(image)[:, :, box.top : box.bottom, box.left : box.right]
    start = Patches(rows[source], columns[source], {(0, 0): crop}, engine.untouched.layout(source))
    try:
        found = engine.run_boxes(Reach(rows, columns, dict(needed)), start, wanted)
    except NotRegional:
        return program.run(image), {}
    patches = {index: state for index, state in found.items() if isinstance(state, Patches)}
    return {index: made.values[0, 0] for index, made in patches.items()}, {
        index: computed_box(made) for index, made in patches.items()
    }


def computed_box(patches: Patches) -> Box:
    """The box of a single position's patch, which may be larger than what is needed of the value."""
    top, left = int(patches.rows.starts[0]), int(patches.columns.starts[0])
    return Box(top, left, top + patches.rows.widths[0], left + patches.columns.widths[0])


def pays(sized: SizedGraph, needed: Mapping[int, Box]) -> bool:
    """Whether boxes are worth their overhead: less than half of the image, and every operator reads boxes of maps."""
    source = sized.graph.image_input
    whole = full_box(sized, source)
    if source not in needed or any(box.is_empty for box in needed.values()):
        # A unit that reads nothing but padding somewhere on the way.
        return False
    if 2 * needed[source].height * needed[source].width > whole.height * whole.width:
        return False
    read = {index: [rule for _, rules in sized.reads(index) for rule in rules] for index in needed if index != source}
    # What reads nothing takes the shape of whole maps, and is not known on a part of them.
    return not any(not rules or any(isinstance(rule, Whole) for rule in rules) for rules in read.values())


def one_span(interval: Interval) -> Spans:
    """A single position that covers an interval."""
    starts, groups = np.array([interval.start], dtype=np.int64), np.zeros(1, dtype=np.int64)
    return Spans((interval,), starts, groups, (interval.size,))
