"""Everything that can be reached from a module, followed by Python's garbage collector: an oracle that shares nothing
with the snapshot that `featmap.capture.state.module_state` takes."""

from __future__ import annotations

import functools
import gc
import random
import sys
import weakref
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

_STOPS = {*sys.stdlib_module_names, "torch", "numpy", "featmap", "pytest", "_pytest", "hypothesis", "torchvision"}
_PLAIN = (bool, int, float, complex, str, bytes, torch.dtype, torch.device, type(None), CodeType, FrameType)
_GLOBALS_OF_PYTHON = ("__builtins__", "__warningregistry__", "__loader__", "__spec__", "__cached__", "__file__")
_LruCache = type(functools.lru_cache(lambda: None))


class Reachable:
    """What every reachable object held at one moment; it keeps them alive, so that their numbers stay their own."""

    def __init__(self, module: nn.Module) -> None:
        self.held: dict[int, Any] = {}
        self.names: dict[int, str] = {}
        self.alive: list[Any] = []
        self.has_fakes = False
        waiting: list[tuple[str, Any]] = [(type(module).__name__, module)]
        while waiting:
            name, value = waiting.pop()
            if isinstance(value, _PLAIN) or id(value) in self.held or _is_stop(value):
                continue
            self.alive.append(value)
            self.has_fakes = self.has_fakes or isinstance(value, FakeTensor) or _caches_fakes(value)
            inside = _inside(value)
            self.names[id(value)] = name
            self.held[id(value)] = [_contents(value), [id(part) for _, part in inside]]
            # A part may be made anew for every look, like a list of names and values.
            self.alive += [part for _, part in inside]
            waiting += [(f"{name}.{key}", part) for key, part in inside]


def assert_nothing_changed(before: Reachable, module: nn.Module) -> None:
    """Every object that was reachable holds what it held, and nothing holds tensors without values."""
    assert_same_reachable(before, Reachable(module))


def assert_same_reachable(before: Reachable, after: Reachable) -> None:
    """The same of two moments."""
    changed = [
        f"{before.names[number]}: {held} -> {after.held.get(number)}"
        for number, held in before.held.items()
        if after.held.get(number) != held
    ]
    assert not changed, "\n".join(changed[:5])
    assert not after.has_fakes, "something holds tensors without values"


def _is_stop(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return _is_foreign(value.__name__)
    return isinstance(value, type) and _is_foreign(value.__module__)


def _is_foreign(place: Any) -> bool:
    return isinstance(place, str) and place.partition(".")[0] in _STOPS


def _inside(value: Any) -> list[tuple[str, Any]]:
    """What an object holds, by name where there is one."""
    if isinstance(value, FunctionType):
        return _inside_function(value)
    if isinstance(value, weakref.ref):
        return [("()", value())]
    if isinstance(value, _LruCache):
        # What such a cache forgets it computes again.
        return [("function", value.__wrapped__), ("vars", vars(value))]
    if isinstance(value, dict):
        entries = [(key, part) for key, part in dict.items(value) if key not in _GLOBALS_OF_PYTHON]
        return [*((repr(key)[:40], part) for key, part in entries), *(("key", key) for key, _ in entries), *_own(value)]
    if isinstance(value, ModuleType):
        return _inside(vars(value))
    if isinstance(value, type):
        return [(name, part) for name, part in vars(value).items() if name not in ("__dict__", "__weakref__")]
    return _own(value)


def _own(value: Any) -> list[tuple[str, Any]]:
    # An object without a dictionary of its own gets one when it is asked for.
    attributes = getattr(value, "__dict__", None)
    attributes = attributes if isinstance(attributes, dict) else None
    parts = [("class", type(value)), ("vars", attributes)]
    if not isinstance(value, dict):
        parts += [(type(part).__name__, part) for part in gc.get_referents(value) if part is not attributes]
    return parts


def _inside_function(function: FunctionType) -> list[tuple[str, Any]]:
    cells = [("cell", cell) for cell in function.__closure__ or ()]
    own = [("defaults", function.__defaults__), ("keywords", function.__kwdefaults__), ("vars", function.__dict__)]
    is_own = not _is_foreign(function.__globals__.get("__name__"))
    return [*cells, *own, *([("globals", function.__globals__)] if is_own else [])]


def _contents(value: Any) -> Any:
    if isinstance(value, Tensor) and not isinstance(value, FakeTensor):
        values = value.detach().cpu().resolve_conj().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        gradient = value.grad if value.is_leaf else None
        gradients = None if gradient is None else [id(gradient), _contents(gradient)]
        return [values, value.shape, value.dtype, value.requires_grad, gradients]
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    return None


def _caches_fakes(cache: Any) -> bool:
    """Whether a cache of results holds a tensor without values."""
    if not isinstance(cache, _LruCache):
        return False
    parts = [part for part in gc.get_referents(cache) if not isinstance(part, FunctionType)]
    return any(isinstance(each, FakeTensor) for part in parts for each in (part, *gc.get_referents(part)))
