"""Checks of places: the pixels that a unit depends on, the multiply-adds that it takes, values on regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from random import Random
from typing import Any

import torch
from torch import Tensor

from featmap.geometry import Box, Status
from featmap.graph.receptive.unit_box import unit_box
from featmap.methods.shared.windows import windows
from featmap.run.occlusion import Occlusion, OcclusionPlan
from featmap.testing.oracles import SupportMask
from support.operators.agreement import agree, is_drawn
from support.operators.case import OperatorCase
from support.operators.count import counted_products
from support.operators.influence import influence

MOST_UNITS = 8


def units(case: OperatorCase) -> Iterator[int]:
    """Some numbers of the value: the first, the last, and some between."""
    count = len(case.units)
    random = Random(count)
    yield from sorted({0, count - 1, *(random.randrange(count) for _ in range(MOST_UNITS))})


def check_box(case: OperatorCase) -> None:
    """The box of a unit holds every pixel that it depends on; called exact, no other."""
    if is_drawn(case):
        return
    for at in units(case):
        channel, row, column = case.units[at].tolist()
        answer = unit_box(case.sized, case.target, (row, column), channel)
        is_exact = answer.status is Status.EXACT and not case.is_discrete
        seen = influence(case, is_enough=_is_filled(at, answer.box) if is_exact else None)
        support = SupportMask(seen[at])
        where = f"unit {channel}@{row},{column}: {answer}"
        assert not support.mask.any() or answer.box.contains(support.box), where
        if is_exact:
            assert (answer.box, True) == (support.box, support.fills_box), where


def _is_filled(at: int, box: Box) -> Callable[[Tensor], bool]:
    def is_filled(seen: Tensor) -> bool:
        return bool(seen[at, box.top : box.bottom, box.left : box.right].all())

    return is_filled


def check_cost(case: OperatorCase) -> None:
    """The multiply-adds are those that torch's own products take, where the operator says how many there are."""
    claimed = case.sized.macs(case.index)
    if claimed is not None and case.node.depends_on_input:
        assert claimed == counted_products(case)


def check_region(case: OperatorCase) -> None:
    """With windows over the image, the whole value and single units of it are those of full runs."""
    if is_drawn(case) or not case.node.depends_on_input:
        return
    rows, columns = case.call.size
    found = windows((rows, columns), (2, 3), (2, 2))
    covered = torch.full_like(case.image[0], sum(case.call.range) / 2)
    expected = {place: case.value(_covered(case.image, covered, found.box(*place))) for place in _places(found)}
    _compare_region(case, expected, found, covered, None)
    if case.sized.axes[case.target].has_space:
        height, width = case.sized.size(case.target)
        for row, column in {(0, width - 1), (height // 2, width // 2)}:
            _compare_region(case, expected, found, covered, Box(row, column, row + 1, column + 1))


def _places(found: Any) -> Iterator[tuple[int, int]]:
    return product(range(len(found.rows)), range(len(found.columns)))


def _covered(image: Tensor, picture: Tensor, box: Box) -> Tensor:
    changed = image.clone()
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    changed[0, :, rows, columns] = picture[:, rows, columns]
    return changed


def _compare_region(
    case: OperatorCase, expected: dict[tuple[int, int], Tensor], found: Any, picture: Tensor, box: Box | None
) -> None:
    plan = OcclusionPlan(case.network, case.target, box, found.rows, found.columns)
    run = Occlusion(plan, case.image[0], picture)
    untouched = case.value(case.image)
    left = dict(expected)
    for rows, columns, value in run.chunks():
        count = len(rows) * len(columns)
        for number, place in enumerate(product(rows, columns)):
            wanted = left.pop(place)
            if value is not None:
                size = value.shape[0] // count if case.sized.axes[case.target].batch == 0 else None
                own = value if size is None else value[number * size : (number + 1) * size]
                agree(
                    own, _part(case, wanted, box), f"with a window over {found.box(*place)}", is_single=case.is_single
                )
            else:
                agree(
                    _part(case, untouched, box),
                    _part(case, wanted, box),
                    "where nothing reaches",
                    is_single=case.is_single,
                )
    for wanted in left.values():
        agree(_part(case, untouched, box), _part(case, wanted, box), "where nothing reaches", is_single=case.is_single)


def _part(case: OperatorCase, value: Tensor, box: Box | None) -> Tensor:
    axes = case.sized.axes[case.target]
    if box is None or not axes.has_space:
        return value
    row, column = axes.in_space
    return value.narrow(row, box.top, box.height).narrow(column, box.left, box.width)
