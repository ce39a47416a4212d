"""The module calls around every operator, by the paths under which the modules are registered.

torch names a part that was called in a slice of its container after the slice (`f.slice(1, None, None).2`). Here the
slice is taken of the module again, and the part that is found there has a path of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.fx import Node as FxNode

from featmap.graph.graph import ModuleCall

_ROOT = "L__self__"
Stack = tuple[ModuleCall, ...]
Key = tuple[str, str]
"""A module call in torch's record: torch's key, which two modules can share (`conv` and `conv@1`), and the path."""


class ModulePaths:
    """Paths of a module's parts; where no module is available, torch's own paths in the form of an address."""

    def __init__(self, module: nn.Module | None) -> None:
        self.module = module
        self.path_of = {} if module is None else {id(part): path for path, part in module.named_modules()}
        self.registered = frozenset(self.path_of.values())

    def stacks(self, fx_nodes: Iterable[FxNode]) -> dict[FxNode, Stack]:
        """For every node, the module calls around it, outermost first, without the root."""
        calls = {node: list(_calls(node)) for node in fx_nodes}
        number_of = self._numbers([call for entries in calls.values() for call in entries])
        return {
            node: tuple(
                ModuleCall(real, number_of.get(key, number), kind)
                for key, path, number, kind in entries
                if (real := self.real(path)) is not None
            )
            for node, entries in calls.items()
        }

    def real(self, path: str) -> str | None:
        """The path under which a part is registered; None for a slice, which is not registered."""
        if "slice(" not in path or path in self.registered:
            return path
        if self.module is None:
            return path.replace(" ", "")
        return self.path_of.get(id(_part(self.module, path)))

    def _numbers(self, calls: list[tuple[Key, str, int, str]]) -> dict[Key, int]:
        """The numbers of calls of parts that were called in slices too, counted in the order of the calls."""
        keys: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        sliced: set[str] = set()
        for key, path, _, _ in calls:
            real = self.real(path)
            if real is not None:
                keys[real][key] = None
                if real != path:
                    sliced.add(real)
        return {key: number for real in sliced for number, key in enumerate(keys[real], start=1)}


def _calls(fx_node: FxNode) -> Iterable[tuple[Key, str, int, str]]:
    """The key of each module call around a node, with its path, the number of the call and the module's class."""
    for key, (path, type_name) in (fx_node.meta.get("nn_module_stack") or {}).items():
        if path:
            name = type_name if isinstance(type_name, str) else type_name.__qualname__
            yield (key, path), path, _number(key, path), name.rpartition(".")[2]


def _number(key: str, path: str) -> int:
    """Which call of the module at a path torch's key names: the first has no number, the second `@1`.

    A module's own name may look like that, too; then it is in the path.

    >>> _number("L__self__b.conv", "b.conv"), _number("L__self__b.conv@1", "b.conv"), _number("140213@2", "b.conv")
    (1, 2, 3)
    >>> _number("L__self__b.conv@1", "b.conv@1"), _number("L__self__b.conv@1@1", "b.conv@1")
    (1, 2)
    """
    own = key.removeprefix(_ROOT)
    later = None if own == path else re.search(r"@(\d+)$", own.removeprefix(path))
    return 1 if later is None else int(later[1]) + 1


def _part(module: Any, path: str) -> Any:
    """The part that a path with slices names, None where there is none."""
    part = module
    for name in path.split("."):
        try:
            part = part[_slice(name)] if name.startswith("slice(") else getattr(part, name)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return None
    return part


def _slice(name: str) -> slice:
    """The slice that a text such as `slice(1, None, None)` describes."""
    parts = (text.strip() for text in name.removeprefix("slice(").removesuffix(")").split(","))
    return slice(*(None if text == "None" else int(text) for text in parts))
