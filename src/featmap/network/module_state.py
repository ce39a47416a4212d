"""A snapshot of everything that a forward can write to, put back when capturing has ended.

Capturing runs a module's forward on tensors without values. What the forward stores on the way (attributes, entries of
lists and dictionaries, hooks, class attributes, caches) would keep such tensors, and the user's module could neither be
run nor saved any more. So every place that is reachable from the module is noted before, shallowly, and put back after.
The contents of tensors are no part of it: capturing never computes with the user's own tensors.
"""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

Restore = Callable[[], None]
_CONTAINERS = (dict, list, set, deque)
_REBOUND = (Tensor, int, float, str, tuple, *_CONTAINERS)
_FOREIGN = ("builtins", "torch", "numpy", "typing", "abc", "collections", "functools", "featmap")
_LruCache = type(functools.lru_cache(lambda: None))


@contextmanager
def unchanged(root: nn.Module) -> Generator[None]:
    """Everything reachable from the module is afterwards as it was, also when the block fails or is interrupted."""
    restores = list(_snapshot([root, *_global_hooks()]))
    try:
        yield
    finally:
        for restore in restores:
            restore()


@contextmanager
def same_random_state() -> Generator[None]:
    """Python's, numpy's and torch's random numbers go on afterwards as if nothing had happened."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _global_hooks() -> list[Any]:
    """The hooks that torch runs for every module."""
    names = ("_global_forward_hooks", "_global_forward_pre_hooks")
    return [getattr(torch_module, name) for name in names if hasattr(torch_module, name)]


def _snapshot(roots: list[Any]) -> Iterator[Restore]:
    """How each reachable place is put back, once per place."""
    seen: dict[int, Any] = {}
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if id(value) in seen or _is_plain(value):
            continue
        # The value is kept, so that its number stays its own.
        seen[id(value)] = value
        yield from _restores(value)
        waiting += _reached(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, Tensor | int | float | complex | str | bytes | torch.dtype | torch.device)


def _restores(value: Any) -> Iterator[Restore]:
    if isinstance(value, dict):
        yield functools.partial(_put_back_entries, value, list(value.items()))
    elif isinstance(value, list | deque | set):
        yield functools.partial(_put_back_elements, value, list(value))
    elif isinstance(value, _LruCache):
        yield functools.partial(_forget_new_results, value, value.cache_info().misses)
    elif isinstance(value, FunctionType):
        yield from _restores_of_function(value)
    elif isinstance(value, type):
        yield functools.partial(_put_back_class, value, dict(vars(value)))
    else:
        yield from _restores_of_slots(value)


def _restores_of_function(function: FunctionType) -> Iterator[Restore]:
    space = function.__globals__
    for name in _names(function.__code__) & space.keys():
        if space[name] is None or isinstance(space[name], _REBOUND):
            yield functools.partial(space.__setitem__, name, space[name])
    for cell in function.__closure__ or ():
        try:
            yield functools.partial(setattr, cell, "cell_contents", cell.cell_contents)
        except ValueError:
            # A variable of the enclosing function that has no value yet.
            continue


def _restores_of_slots(value: Any) -> Iterator[Restore]:
    for name in _slots(value):
        if hasattr(value, name):
            yield functools.partial(object.__setattr__, value, name, getattr(value, name))


def _slots(value: Any) -> list[str]:
    if not _is_own(type(value)):
        return []
    slots = (vars(kind).get("__slots__", ()) for kind in type(value).__mro__ if _is_own(kind))
    names = (name for names in slots for name in ([names] if isinstance(names, str) else names))
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _reached(value: Any) -> list[Any]:
    """What a forward can get at through a value."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, FunctionType):
        return _reached_by_function(value)
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, _LruCache):
        return [value.__wrapped__]
    if isinstance(value, type):
        inside = [getattr(inner, "__func__", inner) for inner in vars(value).values()]
        return [inner for inner in inside if isinstance(inner, _REACHED_OF_CLASSES)]
    return _reached_by_object(value)


_REACHED_OF_CLASSES = (*_CONTAINERS, FunctionType, _LruCache)


def _reached_by_function(function: FunctionType) -> list[Any]:
    if not _is_own(function):
        return []
    space = function.__globals__
    values = [space[name] for name in _names(function.__code__) & space.keys()]
    cells = [cell.cell_contents for cell in function.__closure__ or () if _has_value(cell)]
    own = [function.__defaults__, function.__kwdefaults__, function.__dict__]
    return [*(value for value in values if isinstance(value, _REACHED_OF_CLASSES)), *cells, *own]


def _has_value(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _reached_by_object(value: Any) -> list[Any]:
    if not (isinstance(value, nn.Module) or _is_own(type(value))):
        return []
    kinds = [kind for kind in type(value).__mro__ if _is_own(kind)]
    inside = [vars(value)] if isinstance(getattr(value, "__dict__", None), dict) else []
    return [*kinds, *inside, *(getattr(value, name) for name in _slots(value) if hasattr(value, name))]


def _is_own(value: Any) -> bool:
    """Whether a class or function is of the user's code or of a package of networks, not of torch and the like."""
    place = getattr(value, "__module__", None)
    return isinstance(place, str) and place.partition(".")[0] not in _FOREIGN


def _names(code: CodeType) -> set[str]:
    """The global names that a function and the functions inside it use."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _put_back_entries(table: dict[Any, Any], entries: list[tuple[Any, Any]]) -> None:
    if not _same([part for entry in table.items() for part in entry], [part for entry in entries for part in entry]):
        table.clear()
        table.update(entries)


def _put_back_elements(values: Any, elements: list[Any]) -> None:
    if not _same(list(values), elements):
        values.clear()
        values.update(elements) if isinstance(values, set) else values.extend(elements)


def _put_back_class(kind: type, attributes: dict[str, Any]) -> None:
    present = dict(vars(kind))
    for name in present.keys() - attributes.keys():
        type.__delattr__(kind, name)
    for name, value in attributes.items():
        if present.get(name, kind) is not value:
            type.__setattr__(kind, name, value)


def _forget_new_results(cache: Any, misses: int) -> None:
    # Single results cannot be taken out of such a cache; what is forgotten is computed again.
    if cache.cache_info().misses != misses:
        cache.cache_clear()


def _same(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(one is other for one, other in zip(first, second, strict=True))
