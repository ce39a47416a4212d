"""The oldest supported version of torch, and the check of the installed one."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from featmap.errors import MissingPackage

OLDEST_TORCH = (2, 13)
"""The oldest torch on which the tests pass; pyproject.toml promises the same."""


def check_torch() -> None:
    """Raises: MissingPackage: the installed torch is older than the oldest supported one."""
    try:
        installed = version("torch")
    except PackageNotFoundError:
        # Either its import will fail with an error of its own, or it was installed without metadata.
        return
    numbers = re.match(r"(\d+)\.(\d+)", installed)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        raise MissingPackage(f"featmap needs torch {oldest} or newer; torch {installed} is installed.", remedy(oldest))


def remedy(oldest: str) -> str:
    """What to do about a torch that is too old."""
    return f"Run: pip install 'torch>={oldest}'"
