"""The check of shapes in a test run: every call in `run/`, `statistics/` and `methods/` against the shapes it names.

Only shapes are checked: what else users may give wrongly the code judges itself, and tests give it on purpose. Compiled
functions are left alone, and so are all that name no shape.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from inspect import isclass, isfunction
from types import FunctionType, ModuleType
from typing import Any, get_type_hints

from beartype import beartype
from jaxtyping import AbstractDtype, jaxtyped

CHECKED = ("featmap.run.", "featmap.statistics.", "featmap.methods.")


def check_shapes() -> None:
    """From now on the modules of the checked folders are imported with the check; before any of them is."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname.startswith(CHECKED) else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        dtypes = [name for name, value in vars(module).items() if isclass(value) and issubclass(value, AbstractDtype)]
        for holder in _holders(module) if dtypes else ():
            for name, member in list(vars(holder).items()):
                if _left_to_shapes(_function_of(member), module, dtypes):
                    setattr(holder, name, jaxtyped(member, typechecker=beartype))


def _holders(module: ModuleType) -> Iterator[Any]:
    """What holds the functions of a module: itself and its classes."""
    yield module
    yield from (value for value in vars(module).values() if isclass(value) and value.__module__ == module.__name__)


def _function_of(member: Any) -> FunctionType | None:
    inner = member.__func__ if isinstance(member, classmethod | staticmethod) else getattr(member, "fget", member)
    return inner if isfunction(inner) else None


def _left_to_shapes(function: FunctionType | None, module: ModuleType, dtypes: Sequence[str]) -> bool:
    """Whether a function names shapes; its other annotations go. A shape that cannot be read is an error."""
    if function is None or function.__module__ != module.__name__:
        return False
    annotations = function.__annotations__.items()
    named = {name: text for name, text in annotations if any(f"{dtype}[" in str(text) for dtype in dtypes)}
    if named:
        function.__annotations__ = named
        function.__annotations__ = get_type_hints(function, include_extras=True)
    return bool(named)
