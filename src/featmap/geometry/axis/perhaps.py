"""The axis rule of operators that may read their inputs or not, depending on values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from featmap.geometry.axis.period import Period
from featmap.geometry.axis.rule import AxisRule
from featmap.geometry.index_set import IndexSet
from featmap.geometry.interval import Interval


@dataclass(frozen=True, slots=True)
class Perhaps(AxisRule):
    """A rule that reads at most what another rule reads."""

    rule: AxisRule

    def output_size(self, size: int) -> int:
        return self.rule.output_size(size)

    def sources(self, output: int, size: int) -> range:
        return self.rule.sources(output, size)

    def needed(self, outputs: Interval, size: int) -> Interval:
        return self.rule.needed(outputs, size)

    def affected(self, inputs: Interval, size: int) -> Interval:
        return self.rule.affected(inputs, size)

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        return self.rule.needed_set(outputs, size)

    def ratio(self, size: int) -> Fraction:
        return self.rule.ratio(size)

    def period(self, size: int) -> Period | None:
        known = self.rule.period(size)
        return None if known is None else replace(known, is_exact=False)

    def is_exact(self, size: int) -> bool:  # noqa: ARG002
        return False
