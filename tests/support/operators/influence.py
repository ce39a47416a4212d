"""The pixels that each number of a value depends on, found by changing them one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from support.operators.case import OperatorCase

MOST_DRAWS = 12
CHANGES = (10.0, -10.0)

Kept = tuple[Tensor, int]
_KNOWN: dict[OperatorCase, Kept] = {}


def influence(case: OperatorCase, is_enough: Callable[[Tensor], bool] | None = None) -> Tensor:
    """Which pixels changed which numbers in some draw of image and weights: (number, row, column).

    More draws are made until it is enough, for claims that a pixel is read: a switch may stand otherwise in one draw.
    """
    seen, draws = _KNOWN.get(case, (None, 0))
    while seen is None or (is_enough is not None and not is_enough(seen) and draws < MOST_DRAWS):
        drawn = _drawn(case, draws)
        seen, draws = (drawn if seen is None else seen | drawn), draws + 1
    _KNOWN.clear()
    _KNOWN[case] = (seen, draws)
    return seen


def _drawn(case: OperatorCase, draw: int) -> Tensor:
    image, weights = _image(case, draw), _weights(case, draw)
    before = case.value(image, weights).flatten()
    rows, columns = case.call.size
    seen = torch.zeros((len(before), rows, columns), dtype=torch.bool)
    for row in range(rows):
        for column in range(columns):
            for changed in _changed(image, row, column, draw):
                after = case.value(changed, weights).flatten()
                seen[:, row, column] |= ~((after == before) | (after.isnan() & before.isnan()))
    return seen


def _image(case: OperatorCase, draw: int) -> Tensor:
    """Every third draw is nearly all above, or below, what comparisons ask for."""
    image = case.call.image(10 + draw)
    return image + (0.0, 5.0, -5.0)[draw % 3]


def _changed(image: Tensor, row: int, column: int, draw: int) -> Iterator[Tensor]:
    """Steps up and down; in later draws the number 0, too, at which a quotient may turn."""
    kept = (1, 1, 1, 0) if draw else (1, 1, 1)
    for factor, step in zip(kept, (*CHANGES, 0.37 + draw, 0.0), strict=False):
        changed = image.clone()
        changed[..., row, column] = factor * changed[..., row, column] + step
        yield changed


def _weights(case: OperatorCase, draw: int) -> dict[str, Tensor]:
    """Other numbers for weights; masks are turned over in every second draw, indices stay."""
    generator = torch.Generator().manual_seed(draw)
    found: dict[str, Tensor] = {}
    for name, weight in case.weights.items():
        if weight.is_floating_point() and draw:
            found[name] = weight * (torch.rand(weight.shape, generator=generator, dtype=weight.dtype) + 0.5)
        else:
            found[name] = ~weight if weight.dtype == torch.bool and draw % 2 else weight
    return found
