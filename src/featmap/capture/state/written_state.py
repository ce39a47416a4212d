"""The record of what a forward writes to its module: buffers, attributes and their contents.

Attributes are compared before and after a forward, and so are those of the modules' own classes and the contents of
lists and dictionaries; in-place writes to buffers are in torch's record. Globals are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node as FxNode

from featmap.capture.state.reachable import CONTAINERS, elements, is_made_of
from featmap.capture.state.recomputed import recorded_weights, unreplaced, weights_alone
from featmap.graph.graph import Written
from featmap.graph.operators.base.call import by_name, schema_arguments
from featmap.graph.schema import is_operator, plain_name

_MISSING = object()
_PLAIN = (bool, int, float, str)


class AttributeWrites:
    """Finds, while entered, the attributes that a forward of the module changes.

    They are compared as soon as the forward ends: torch restores some of them itself when its record is complete.
    """

    def __init__(self, root: nn.Module) -> None:
        self._root = root
        self._before = _attributes(root)
        self._found: dict[str, Written] = {}
        self._weights: tuple[tuple[Tensor, FxNode], ...] = ()

    @property
    def found(self) -> tuple[Written, ...]:
        return tuple(self._found.values())

    def __enter__(self) -> None:
        self._hooks = [
            self._root.register_forward_pre_hook(self._begin, prepend=True),
            self._root.register_forward_hook(self._look),
        ]

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _begin(self, *_: Any) -> None:
        self._weights = recorded_weights(self._root)

    def _look(self, *_: Any) -> None:
        weights = unreplaced(self._root, self._weights)
        for name, value in _attributes(self._root).items():
            if not _same(self._before.get(name, _MISSING), value):
                before = self._before.get(name)
                is_recomputed = all(is_made_of(each, Tensor) for each in (before, value))
                is_recomputed = is_recomputed and weights_alone(value, weights)
                self._found.setdefault(name, Written(name, self._was_tensor_or_missing(name), is_recomputed))

    def _was_tensor_or_missing(self, name: str) -> bool:
        """Whether the former value can only have been read as a tensor, which the graph then holds."""
        return name not in self._before or is_made_of(self._before[name], Tensor)


def _attributes(root: nn.Module) -> dict[str, Any]:
    """The values of the modules' attributes by name, such as `head.step`; contents of lists and dictionaries copied."""
    return {name: _copied(value) for path, part in root.named_modules() for name, value in _own(path, part)}


def _own(path: str, module: nn.Module) -> Iterator[tuple[str, Any]]:
    prefix = f"{path}." if path else ""
    # What is in `_parameters`, `_buffers` and the like is in torch's own record of the forward.
    yield from ((prefix + name, value) for name, value in vars(module).items() if not name.startswith("_"))
    for kind in type(module).__mro__:
        if not kind.__module__.startswith(("torch", "builtins")):
            yield from (
                (f"{kind.__name__}.{name}", value) for name, value in vars(kind).items() if _is_data(name, value)
            )


def _is_data(name: str, value: Any) -> bool:
    return not name.startswith("_") and is_made_of(value, *CONTAINERS, *_PLAIN, Tensor, type(None))


def _copied(value: Any, around: tuple[Any, ...] = ()) -> Any:
    """A value, or the contents of a container: elements, keys and values; `around` holds the enclosing containers."""
    if not is_made_of(value, *CONTAINERS) or any(value is outer for outer in around):
        return value
    return _Content(tuple(_copied(inner, (*around, value)) for inner in elements(value)))


@dataclass(frozen=True, eq=False)
class _Content:
    """The contents of a container at the time of the comparison."""

    elements: tuple[Any, ...]


def _same(first: Any, second: Any) -> bool:
    if first is second:
        return True
    if is_made_of(first, _Content) and is_made_of(second, _Content):
        return len(first.elements) == len(second.elements) and all(map(_same, first.elements, second.elements))
    return type(first) in _PLAIN and type(first) is type(second) and first == second


def written_buffers(program: ExportedProgram, statistics: list[str]) -> tuple[Written, ...]:
    """The buffers that a functional program writes: in place, or as running statistics of a normalisation."""
    names = dict.fromkeys([*program.graph_signature.buffers_to_mutate.values(), *statistics])
    return tuple(Written(name, is_weight=True) for name in names)


def written_statistics(target: Any, args: list[Any]) -> list[int]:
    """The positions of arguments that are running statistics which the operator writes and does not read.

    torch's schema does not declare these writes; without them the operator gives the same value.
    """
    if not is_operator(target) or plain_name(target) not in ("batch_norm", "instance_norm"):
        return []
    names, settings = schema_arguments(target)[0], by_name(target, args, {})
    takes_own = settings.get("training") or settings.get("use_input_stats")
    return [names.index(name) for name in ("running_mean", "running_var") if takes_own and settings.get(name)]
