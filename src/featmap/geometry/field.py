"""Receptive fields of layers: how much of the image a unit sees, by structure.

Unit u sees `size` pixels from `offset + u * stride` on. These numbers are unclipped, as in the literature: part of the
field may lie on padding, and at the borders a unit sees less. Where no stride and offset fit (behind a stride 2 and a
transposed convolution that doubles, say), both are None, and `steps` say how the fields' first pixels move from unit to
unit, over one period.

Source: Araujo, Norris, Sim (2019), doi:10.23915/distill.00021. They exclude networks whose paths differ in stride or
centre; here the hull of the paths is given, with its status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from featmap.geometry.axis.axis_field import IDENTITY, AxisField, covers, joined
from featmap.geometry.axis.rule import AxisRule
from featmap.geometry.box import Box, Status


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The receptive field of a layer's units in input pixels, one entry per axis: (rows, columns) in a picture.

    `status` is `exact` if every unit far from the borders sees a full box of `size` pixels and nothing else, `hull` if
    that box may hold pixels that some unit does not see (holes of dilation, fields of different sizes, paths whose
    union is not a box), and `whole` if an operator on the path reads its whole map; `size` is then the image's on that
    axis. A stride is None where fields are unevenly spaced or cover everything.

    >>> from featmap.geometry import Window
    >>> chain_field([Window(3, before=1, after=1), Window(2, 2), Window(3)], 32)
    ReceptiveField(size=(8, 8), stride=(2, 2), offset=(-1, -1), status='exact')
    """

    axes: tuple[AxisField, ...] = (IDENTITY, IDENTITY)
    is_product: bool = True

    def __repr__(self) -> str:
        numbers = f"size={self.size}, stride={self.stride}, offset={self.offset}"
        return f"ReceptiveField({numbers}, status={str(self.status)!r})"

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels along each axis that a unit sees: the largest over all units."""
        return tuple(axis.size for axis in self.axes)

    @property
    def stride(self) -> tuple[int | None, ...]:
        """Pixels from one unit's field to the next; None where fields are unevenly spaced or cover everything."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def offset(self) -> tuple[int | None, ...]:
        """The first pixel of unit 0's field, negative on padding; None where fields are unevenly spaced."""
        return tuple(axis.offset for axis in self.axes)

    @property
    def steps(self) -> tuple[tuple[int, ...] | None, ...]:
        """Pixels from each field's start to the next, over one period, where there is no stride; None where unknown."""
        return tuple(axis.steps for axis in self.axes)

    @property
    def status(self) -> Status:
        """How certain the box is."""
        if any(axis.is_whole for axis in self.axes):
            return Status.WHOLE
        return Status.EXACT if self.is_product and all(axis.is_exact for axis in self.axes) else Status.HULL

    def as_dict(self) -> dict[str, object]:
        """Plain data as in every JSON document: a list with one entry per axis, None where there is no such number."""
        return {
            "size": [*self.size],
            "stride": [*self.stride],
            "offset": [*self.offset],
            "steps": [None if steps is None else [*steps] for steps in self.steps],
            "status": str(self.status),
        }

    def behind(self, *chains: Sequence[tuple[AxisRule, int]], is_product: bool) -> ReceptiveField:
        """The field behind chains of rules, one per axis, each with its input size; the last one reads these units."""
        axes = list(self.axes)
        for at, chain in enumerate(chains):
            for rule, size in reversed(chain):
                axes[at] = axes[at].through(rule, size)
        return ReceptiveField(tuple(axes), is_product)

    def through(self, rules: Sequence[AxisRule], input_size: Sequence[int]) -> ReceptiveField:
        """The field behind an operator with one rule per axis that reads a map of `input_size` such units."""
        through = (axis.through(rule, n) for axis, rule, n in zip(self.axes, rules, input_size, strict=True))
        return ReceptiveField(tuple(through), self.is_product)

    def uncut_box(self, unit: Sequence[int]) -> Box | None:
        """The field of one unit, parts on the padding included; None where an axis has no stride.

        >>> ReceptiveField().uncut_box((3, 4))
        Box(top=3, left=4, bottom=4, right=5)
        """
        starts = [axis.first_pixel(at) for axis, at in zip(self.axes, unit, strict=True)]
        known = [start for start in starts if start is not None]
        if len(known) < len(starts):
            return None
        return Box(*known, *(start + size for start, size in zip(known, self.size, strict=True)))

    def covers(self, other: ReceptiveField) -> bool:
        """Whether each unit certainly sees all that it may see according to `other`."""
        return self.is_product and all(map(covers, self.axes, other.axes))


def merge(fields: Iterable[ReceptiveField]) -> ReceptiveField:
    """The field of units that read several branches (addition, concatenation): the union of all.

    Exact where the union is a full box: one branch holds all others, or they differ along one axis alone.
    """
    ways: list[ReceptiveField] = []
    for field in fields:
        if not any(way.covers(field) for way in ways):
            ways = [way for way in ways if not field.covers(way)] + [field]
    return reduce(merged, ways)


def merged(first: ReceptiveField, second: ReceptiveField) -> ReceptiveField:
    """The union of two fields of which neither holds the other."""
    pairs = list(zip(first.axes, second.axes, strict=True))
    differing = sum(not (covers(one, other) and covers(other, one)) for one, other in pairs)
    # A union of two boxes that differ along one axis alone is a box again.
    is_product = first.is_product and second.is_product and differing <= 1
    return ReceptiveField(tuple(joined(one, other) for one, other in pairs), is_product)


def chain_field(rules: Iterable[AxisRule], size: int) -> ReceptiveField:
    """The field behind a chain of operators that treat rows and columns alike, on a square image.

    >>> from featmap.geometry import Window
    >>> chain_field([Window(3, dilation=2)], 32).status, chain_field([Window(3, dilation=2), Window(2)], 32).status
    (<Status.HULL: 'hull'>, <Status.EXACT: 'exact'>)
    """
    field = ReceptiveField()
    for rule in rules:
        field, size = field.through((rule, rule), (size, size)), rule.output_size(size)
    return field
