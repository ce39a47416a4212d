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
from featmap.geometry.box import Status


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The receptive field of a layer's units, (rows, columns) in input pixels.

    `status` is `exact` if every unit far from the borders sees a full box of `size` pixels and nothing else, `hull` if
    that box may hold pixels that some unit does not see (holes of dilation, fields of different sizes, paths whose
    union is not a box), and `whole` if an operator on the path reads its whole map; `size` is then the image's on that
    axis. A stride is None where fields are unevenly spaced or cover everything.

    >>> from featmap.geometry import Window
    >>> chain_field([Window(3, before=1, after=1), Window(2, 2), Window(3)], 32)
    ReceptiveField(size=(8, 8), stride=(2, 2), offset=(-1, -1), status='exact')
    """

    rows: AxisField = IDENTITY
    columns: AxisField = IDENTITY
    is_product: bool = True

    def __repr__(self) -> str:
        numbers = f"size={self.size}, stride={self.stride}, offset={self.offset}"
        return f"ReceptiveField({numbers}, status={str(self.status)!r})"

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns that a unit sees: the largest over all units."""
        return self.rows.size, self.columns.size

    @property
    def stride(self) -> tuple[int | None, int | None]:
        """Pixels from one unit's field to the next; None where fields are unevenly spaced or cover everything."""
        return self.rows.stride, self.columns.stride

    @property
    def offset(self) -> tuple[int | None, int | None]:
        """The first pixel of unit 0's field, negative on padding; None where fields are unevenly spaced."""
        return self.rows.offset, self.columns.offset

    @property
    def steps(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """Pixels from each field's start to the next, over one period, where there is no stride; None where unknown."""
        return self.rows.steps, self.columns.steps

    @property
    def status(self) -> Status:
        """How certain the box is."""
        if self.rows.is_whole or self.columns.is_whole:
            return Status.WHOLE
        is_full = self.is_product and self.rows.is_exact and self.columns.is_exact
        return Status.EXACT if is_full else Status.HULL

    def as_dict(self) -> dict[str, object]:
        """Plain data as in every JSON document: [rows, columns], None where there is no such number."""
        return {
            "size": [*self.size],
            "stride": [*self.stride],
            "offset": [*self.offset],
            "steps": [None if steps is None else [*steps] for steps in self.steps],
            "status": str(self.status),
        }

    def behind(
        self,
        row_rules: Sequence[tuple[AxisRule, int]],
        column_rules: Sequence[tuple[AxisRule, int]],
        *,
        is_product: bool,
    ) -> ReceptiveField:
        """The field behind a chain of rules, each with its input size; the last one reads these units."""
        rows, columns = self.rows, self.columns
        for rule, size in reversed(row_rules):
            rows = rows.through(rule, size)
        for rule, size in reversed(column_rules):
            columns = columns.through(rule, size)
        return ReceptiveField(rows, columns, is_product)

    def through(self, row_rule: AxisRule, column_rule: AxisRule, input_size: Sequence[int]) -> ReceptiveField:
        """The field behind an operator that reads a map of `input_size` (height, width) such units."""
        height, width = input_size
        rows, columns = self.rows.through(row_rule, height), self.columns.through(column_rule, width)
        return ReceptiveField(rows, columns, self.is_product)

    def covers(self, other: ReceptiveField) -> bool:
        """Whether each unit certainly sees all that it may see according to `other`."""
        return self.is_product and covers(self.rows, other.rows) and covers(self.columns, other.columns)


def merge(fields: Iterable[ReceptiveField]) -> ReceptiveField:
    """The field of units that read several branches (addition, concatenation): the union of all.

    Exact where the union is a full box: one branch holds all others, or they agree along rows or along columns.
    """
    ways: list[ReceptiveField] = []
    for field in fields:
        if not any(way.covers(field) for way in ways):
            ways = [way for way in ways if not field.covers(way)] + [field]
    return reduce(merged, ways)


def merged(first: ReceptiveField, second: ReceptiveField) -> ReceptiveField:
    """The union of two fields of which neither holds the other."""
    same_rows = covers(first.rows, second.rows) and covers(second.rows, first.rows)
    same_columns = covers(first.columns, second.columns) and covers(second.columns, first.columns)
    is_product = first.is_product and second.is_product and (same_rows or same_columns)
    return ReceptiveField(joined(first.rows, second.rows), joined(first.columns, second.columns), is_product)


def chain_field(rules: Iterable[AxisRule], size: int) -> ReceptiveField:
    """The field behind a chain of operators that treat rows and columns alike, on a square image.

    >>> from featmap.geometry import Window
    >>> chain_field([Window(3, dilation=2)], 32).status, chain_field([Window(3, dilation=2), Window(2)], 32).status
    (<Status.HULL: 'hull'>, <Status.EXACT: 'exact'>)
    """
    field = ReceptiveField()
    for rule in rules:
        field, size = field.through(rule, rule, (size, size)), rule.output_size(size)
    return field
