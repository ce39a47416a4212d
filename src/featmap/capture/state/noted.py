"""The writable parts of one value and how they are restored; shallow, since what it holds is noted separately."""

from __future__ import annotations

import functools
import random
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from operator import is_
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featmap.capture.state.reachable import (
    LruCache,
    attributes_of,
    holds_state,
    is_filled,
    is_made_of,
    is_own,
    slots,
    spaces,
)

Restore = Callable[[], Any]
_NOTHING: Any = object()
_COLLECTIONS = (list, deque, set)


def noted(value: Any) -> Iterator[Restore]:
    """Functions that restore each part of a value to its present state."""
    if is_made_of(value, Tensor):
        yield _tensor(value)
    elif is_made_of(value, FunctionType):
        yield from _function(value)
    elif is_made_of(value, type):
        if is_own(value):
            yield functools.partial(_put_back_class, value, dict(vars(value)))
    elif is_made_of(value, LruCache):
        yield functools.partial(_forget_new_results, value, value.cache_info().misses)
    else:
        yield from _content(value)
        if holds_state(type(value)):
            yield from _object(value)


def _content(value: Any) -> Iterator[Restore]:
    if is_made_of(value, dict):
        # With the methods of dict, whatever a subclass does on assignment.
        kind: Any = OrderedDict if is_made_of(value, OrderedDict) else dict
        yield functools.partial(_put_back_entries, value, kind, list(kind.items(value)))
    elif is_made_of(value, *_COLLECTIONS):
        kind = _kind(value)
        yield functools.partial(_put_back_elements, value, kind, list(kind.__iter__(value)))
    elif is_made_of(value, bytearray, array):
        yield functools.partial(value.__setitem__, slice(None), value[:])
    elif is_made_of(value, np.ndarray):
        if value.flags.writeable:
            yield functools.partial(np.copyto, value, value.copy())
    else:
        yield from _generator(value)


def _kind(value: Any) -> Any:
    """The built-in collection type that a value is an instance of."""
    return next(kind for kind in _COLLECTIONS if is_made_of(value, kind))


def _generator(value: Any) -> Iterator[Restore]:
    """Restores the state of a random number generator."""
    if is_made_of(value, random.Random):
        yield functools.partial(value.setstate, value.getstate())
    elif is_made_of(value, np.random.RandomState):
        yield functools.partial(value.set_state, value.get_state())
    elif is_made_of(value, np.random.Generator):
        yield functools.partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    elif is_made_of(value, torch.Generator):
        yield functools.partial(value.set_state, value.get_state())


def _object(value: Any) -> Iterator[Restore]:
    yield functools.partial(_put_back_kind, value, type(value), attributes_of(value))
    for slot in slots(type(value)):
        yield functools.partial(
            _put_back_slot, slot, value, slot.__get__(value) if is_filled(slot, value) else _NOTHING
        )


def _function(function: FunctionType) -> Iterator[Restore]:
    for space, names in spaces(function):
        values = {name: space.get(name, _NOTHING) for name in names}
        yield functools.partial(_put_back_names, space, values, is_whole=names.issuperset(space))
    for cell in function.__closure__ or ():
        yield functools.partial(_put_back_cell, cell, _variable(cell))


def _variable(cell: Any) -> Any:
    """The value of a closure cell, or a marker where it is still empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return _NOTHING


def _tensor(value: Tensor) -> Restore:
    """Restores a tensor that is not a parameter or buffer: capturing computes with the tensor itself."""
    with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():  # pyright: ignore[reportPrivateUsage]
        gradient = value.grad if value.is_leaf else None
        same, copy = value.detach(), value.detach().clone()
        return functools.partial(_put_back_tensor, value, same, copy, _version(value), value.requires_grad, gradient)


def _version(value: Tensor) -> int | None:
    return None if value.is_inference() else value._version


def _put_back_tensor(
    value: Tensor, same: Tensor, copy: Tensor, version: int | None, wants_gradient: bool, gradient: Tensor | None
) -> None:
    with torch._C.DisableTorchFunctionSubclass(), torch.inference_mode(value.is_inference()), torch.no_grad():  # pyright: ignore[reportPrivateUsage]
        if value.device != same.device or (same.layout == torch.strided and not value.is_set_to(same)):
            value.data = same
        if version is None or value._version != version:
            same.copy_(copy)
        if value.is_leaf and value.requires_grad != wants_gradient:
            value.requires_grad_(wants_gradient)
        if value.is_leaf and value.grad is not gradient:
            value.grad = gradient


def _put_back_kind(value: Any, kind: type, attributes: Any) -> None:
    if type(value) is not kind:
        object.__setattr__(value, "__class__", kind)
    if attributes_of(value) is not attributes:
        object.__setattr__(value, "__dict__", attributes)


def _put_back_slot(slot: Any, value: Any, content: Any) -> None:
    if content is _NOTHING:
        if is_filled(slot, value):
            slot.__delete__(value)
    elif not is_filled(slot, value) or slot.__get__(value) is not content:
        slot.__set__(value, content)


def _put_back_cell(cell: Any, content: Any) -> None:
    if content is not _NOTHING:
        cell.cell_contents = content
    elif _variable(cell) is not _NOTHING:
        del cell.cell_contents


def _put_back_names(space: dict[str, Any], values: dict[str, Any], *, is_whole: bool) -> None:
    """Restores name by name: other threads may use the same globals. If all names were noted, new ones are deleted."""
    late = dict.fromkeys(space.keys() - values.keys(), _NOTHING) if is_whole else {}
    for name, value in [*values.items(), *late.items()]:
        if value is _NOTHING:
            space.pop(name, None)
        elif space.get(name, _NOTHING) is not value:
            space[name] = value


def _put_back_entries(table: Any, kind: Any, entries: list[tuple[Any, Any]]) -> None:
    present = list(kind.items(table))
    if len(present) != len(entries) or not all(map(_same_entry, present, entries)):
        kind.clear(table)
        kind.update(table, entries)


def _same_entry(first: tuple[Any, Any], second: tuple[Any, Any]) -> bool:
    return first[0] is second[0] and first[1] is second[1]


def _put_back_elements(values: Any, kind: Any, elements: list[Any]) -> None:
    present = list(kind.__iter__(values))
    if len(present) == len(elements) and all(map(is_, present, elements)):
        return
    kind.clear(values)
    set.update(values, elements) if kind is set else kind.extend(values, elements)


def _put_back_class(kind: type, attributes: dict[str, Any]) -> None:
    present = dict(vars(kind))
    for name in present.keys() - attributes.keys():
        # Python itself stores annotations there once they have been read.
        if not name.startswith("__annot"):
            type.__delattr__(kind, name)
    for name, value in attributes.items():
        if present.get(name, _NOTHING) is not value:
            type.__setattr__(kind, name, value)


def _forget_new_results(cache: Any, misses: int) -> None:
    # Single results cannot be removed from such a cache; the others are computed again.
    if cache.cache_info().misses != misses:
        cache.cache_clear()
