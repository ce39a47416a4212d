"""Everything that a forward can reach: attributes, containers, functions and their globals, classes.

The search starts at the module. Of imported modules it follows only what a function names, and objects of torch, numpy
and the standard library only where they hold state for others: layers, namespaces, weak dictionaries. It calls no code
of the user's: a table that is filled when it is read, or a proxy that is resolved when its class is asked for, stays as
it is.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CONTAINERS = (dict, list, tuple, set, frozenset, deque)
LruCache = type(functools.lru_cache(lambda: None))
_FOREIGN = frozenset({*sys.stdlib_module_names, "torch", "numpy", "typing_extensions", "featmap"})
_HOLDERS = ("torch.nn", "torch.distributions", "types", "_thread", "weakref", "collections", "argparse", "functools")
"""Modules of library classes whose instances hold what others put into them."""
_REGISTERED = ("_parameters", "_buffers")
_PLAIN = frozenset(
    [
        *(type(None), type(...), bool, int, float, complex, str, bytes, range, slice),
        *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format),
    ]
)


def everything(root: nn.Module, others: Iterable[Any] = ()) -> Iterator[Any]:
    """Everything that is reachable from the module and the others, each value once.

    The module's own parameters and buffers are left out: its forward sees substitutes for them during the capture.
    """
    tables = {id(table) for part in root.modules() for table in map(vars(part).get, _REGISTERED)}
    seen: dict[int, Any] = {}
    waiting: list[Any] = [root, *others]
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        # The value is kept alive, so that its id stays unique.
        seen[id(value)] = value
        yield value
        if id(value) not in tables:
            waiting += _reached(value)


def is_made_of(value: Any, *kinds: type) -> bool:
    """isinstance by the value's real class; isinstance itself also reads `__class__`, which may run user code."""
    return issubclass(type(value), kinds)


def _reached(value: Any) -> list[Any]:
    if is_made_of(value, Tensor):
        return [vars(value)]
    if is_made_of(value, FunctionType):
        return _reached_by_function(value)
    if is_made_of(value, type):
        return [inner for attribute in vars(value).values() for inner in _unwrapped(attribute)] if is_own(value) else []
    if is_made_of(value, MethodType):
        return [value.__self__, value.__func__]
    if is_made_of(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if is_made_of(value, LruCache):
        return [value.__wrapped__]
    if is_made_of(value, weakref.ref):
        return [weakref.ref.__call__(value)]
    return [*elements(value), *_reached_by_object(value)]


def elements(value: Any) -> list[Any]:
    """The contents of a container: keys and values of a dictionary, elements of others; nothing for other values."""
    if is_made_of(value, dict):
        return [*dict.keys(value), *dict.values(value)]
    kind = next((kind for kind in CONTAINERS if is_made_of(value, kind)), None)
    if kind is not None:
        return list(kind.__iter__(value))
    is_table = is_made_of(value, np.ndarray) and np.ndarray.dtype.__get__(value).kind == "O"
    return list(np.ndarray.flat.__get__(value)) if is_table else []


def _unwrapped(attribute: Any) -> list[Any]:
    """What a class attribute holds: the functions of methods and properties, else itself."""
    if is_made_of(attribute, property):
        return [attribute.fget, attribute.fset, attribute.fdel]
    if is_made_of(attribute, staticmethod, classmethod):
        return [attribute.__func__]
    return [attribute.func if is_made_of(attribute, functools.cached_property) else attribute]


def _reached_by_function(function: FunctionType) -> list[Any]:
    values = [space[name] for space, names in spaces(function) for name in names & space.keys()]
    cells = [cell.cell_contents for cell in function.__closure__ or () if has_value(cell)]
    own = [function.__defaults__, function.__kwdefaults__, function.__dict__]
    return [*(value for value in values if not is_made_of(value, ModuleType)), *cells, *own]


def _reached_by_object(value: Any) -> list[Any]:
    kind = type(value)
    if not holds_state(kind):
        return []
    filled = [slot.__get__(value) for slot in slots(kind) if is_filled(slot, value)]
    return [*own_bases(kind), attributes_of(value), *filled]


def attributes_of(value: Any) -> dict[str, Any] | None:
    """An object's own attribute dictionary, if it has one."""
    try:
        attributes = _attribute_access(type(value))(value, "__dict__")
    except AttributeError:
        return None
    return attributes if is_made_of(attributes, dict) else None


@functools.lru_cache(maxsize=1024)
def _attribute_access(kind: type) -> Any:
    """The attribute lookup of a class as Python does it: for thread-local objects, that of this thread's attributes."""
    found = (vars(base).get("__getattribute__") for base in kind.__mro__)
    return next(access for access in found if access is not None and not is_made_of(access, FunctionType))


@functools.lru_cache(maxsize=1024)
def own_bases(kind: type) -> tuple[type, ...]:
    """The classes in a class's MRO, except for those of torch and other libraries."""
    return tuple(base for base in kind.__mro__ if is_own(base))


@functools.lru_cache(maxsize=1024)
def slots(kind: type) -> tuple[Any, ...]:
    """The slot descriptors of a class. Those of classes written in C cannot be written to by a forward."""
    return tuple(
        attribute
        for base in own_bases(kind)
        if "__slots__" in vars(base)
        for attribute in vars(base).values()
        if type(attribute).__name__ == "member_descriptor"
    )


def is_filled(slot: Any, value: Any) -> bool:
    """Whether a slot of an object has a value."""
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True


def has_value(cell: Any) -> bool:
    """Whether a closure cell has a value yet."""
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def spaces(function: FunctionType) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """The globals of a function and of the modules that it names, each with the names that it may use of them."""
    names = _names(function.__code__)
    waiting, seen = [function.__globals__], set[int]()
    while waiting:
        space = waiting.pop()
        if id(space) in seen or _is_foreign(space.get("__name__")):
            continue
        seen.add(id(space))
        yield space, (names | space.keys() if "globals" in names else names)
        waiting += [vars(space[name]) for name in names & space.keys() if is_made_of(space[name], ModuleType)]


def _names(code: CodeType) -> set[str]:
    """The global names that a function and the functions inside it use."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


@functools.lru_cache(maxsize=1024)
def holds_state(kind: type) -> bool:
    """Whether instances of a class are searched."""
    return is_own(kind) or str(kind.__module__).startswith(_HOLDERS) or issubclass(kind, nn.Module)


def is_own(value: Any) -> bool:
    """Whether a class or function is the user's or a model package's, not of torch and the like."""
    return not _is_foreign(getattr(value, "__module__", None))


def _is_foreign(place: Any) -> bool:
    # Our own test modules are modules like any user's.
    is_tested = isinstance(place, str) and place.startswith("featmap.testing.")
    return isinstance(place, str) and not is_tested and place.partition(".")[0] in {*_FOREIGN, "builtins"}
