"""Results that are several of one kind, in the order in which they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar, overload

from featmap.result import Result

Part = TypeVar("Part", bound=Result)


class CollectionResult(Result, Sequence[Part], Generic[Part]):
    """Base of the results that are several of one kind."""

    parts_name: ClassVar[str]
    """What they are called in plain data."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)

    @overload
    def __getitem__(self, position: int) -> Part: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, position: int | slice) -> Part | tuple[Part, ...]:
        return self._parts[position]

    def __len__(self) -> int:
        return len(self._parts)

    def _data(self) -> dict[str, Any]:
        return {self.parts_name: [part.to_dict() for part in self._parts]}

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._parts))
