"""The record of what a model says about its own gradients, taken while it is captured.

`torch.export` records values. Of gradients it keeps `detach()` and `torch.no_grad()`, but not `.data` and
`torch.inference_mode()`, and of an `autograd.Function` only what its forward computes. While a model is captured, the
first two are recorded by their effect on gradients, and every value that a Function returns is marked with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

_LIBRARY = torch.library.Library("featmap", "FRAGMENT")
_LIBRARY.define("own_gradient(Tensor value, str name) -> Tensor")
_LIBRARY.impl("own_gradient", lambda value, name: value.clone(), "CompositeExplicitAutograd")  # noqa: ARG005

MARK: Any = torch.ops.featmap.own_gradient.default
"""The identity, marking a value with the name of what defines its gradient; graphs do not keep the call."""


@contextmanager
def gradients_recorded() -> Generator[None]:
    """While active, what this thread's models say about gradients becomes part of what is traced."""
    with ExitStack() as stack:
        stack.enter_context(_replaced(torch.autograd.Function, "apply", _marking_apply()))
        for name, replacement in _inference_as_no_grad().items():
            stack.enter_context(_replaced(torch.inference_mode, name, replacement))
        stack.enter_context(_DataAsDetach())
        yield


@contextmanager
def _replaced(owner: Any, name: str, replacement: Any) -> Generator[None]:
    before = vars(owner)[name]
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _marking_apply() -> Any:
    original, thread = vars(torch.autograd.Function)["apply"].__func__, get_ident()

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if get_ident() != thread:
            return original(cls, *args, **kwargs)
        with _grad_modes_unrecorded(thread):
            values = original(cls, *args, **kwargs)
        # torch's own Functions have the true gradient of what they compute.
        return values if cls.__module__.startswith("torch.") else _marked(values, cls.__name__)

    return classmethod(apply)


def _marked(values: Any, name: str) -> Any:
    def mark(value: Any) -> Any:
        return MARK(value, name) if isinstance(value, Tensor) else value

    return pytree.tree_map(mark, values)


@contextmanager
def _grad_modes_unrecorded(thread: int) -> Generator[None]:
    """Leaves grad modes out of the record within a Function's forward, where a recorded `no_grad` would outlast it."""
    set_mode = torch._C._set_grad_enabled  # pyright: ignore[reportPrivateUsage]

    def ignored(mode: bool) -> None:
        if get_ident() != thread:
            set_mode(mode)

    with _replaced(torch._C, "_set_grad_enabled", ignored):  # pyright: ignore[reportPrivateUsage]
        yield


def _inference_as_no_grad() -> dict[str, Callable[..., Any]]:
    """Replacements by which an inference mode is entered and left as a `no_grad`, which is recorded."""
    enter, leave = (vars(torch.inference_mode)[name] for name in ("__enter__", "__exit__"))
    thread = get_ident()

    def entered(self: Any) -> None:
        if get_ident() == thread:
            self.grad_mode = torch.set_grad_enabled(not self.mode)
        else:
            enter(self)

    def left(self: Any, *error: Any) -> None:
        if hasattr(self, "grad_mode"):
            self.grad_mode.__exit__(*error)
        else:
            leave(self, *error)

    return {"__enter__": entered, "__exit__": left}


class _DataAsDetach(TorchFunctionMode):
    """While active, reading `tensor.data` gives `tensor.detach()`: the same memory, without gradients."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        is_data = getattr(func, "__name__", "") == "__get__" and getattr(func.__self__, "__name__", "") == "data"
        return args[0].detach() if is_data else func(*args, **(kwargs or {}))
