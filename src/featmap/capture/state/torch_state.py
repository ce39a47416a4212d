"""Process-wide state of torch, numpy and Python: random states and settings, restored after a capture."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

_PAIRS = (
    ("torch", "get_default_dtype", "set_default_dtype"),
    ("torch", "is_grad_enabled", "set_grad_enabled"),
    ("torch", "get_deterministic_debug_mode", "set_deterministic_debug_mode"),
    ("torch", "get_float32_matmul_precision", "set_float32_matmul_precision"),
    ("torch", "get_num_threads", "set_num_threads"),
    ("torch", "is_warn_always_enabled", "set_warn_always"),
    ("torch", "is_autocast_cache_enabled", "set_autocast_cache_enabled"),
    ("torch.backends.cuda", "flash_sdp_enabled", "enable_flash_sdp"),
    ("torch.backends.cuda", "mem_efficient_sdp_enabled", "enable_mem_efficient_sdp"),
    ("torch.backends.cuda", "math_sdp_enabled", "enable_math_sdp"),
    ("torch.backends.cuda", "cudnn_sdp_enabled", "enable_cudnn_sdp"),
    ("torch.backends.mha", "get_fastpath_enabled", "set_fastpath_enabled"),
)
"""Settings with one function that reads and another that sets them."""
_ATTRIBUTES = {
    "torch.backends.cudnn": ("enabled", "benchmark", "deterministic", "benchmark_limit", "allow_tf32"),
    "torch.backends.mkldnn": ("enabled", "deterministic", "allow_tf32"),
    "torch.backends.nnpack": ("enabled",),
    "torch.backends.opt_einsum": ("enabled", "strategy"),
    "torch.backends.quantized": ("engine",),
    "torch.backends.cuda.matmul": (
        "allow_tf32",
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
    ),
    "torch.utils.deterministic": ("fill_uninitialized_memory",),
}
_AUTOCAST = ("cpu", "cuda")

Reads = Callable[[], Any]
Makes = Callable[[Any], Any]


@contextmanager
def same_settings() -> Generator[None]:
    """Restores torch's and numpy's settings afterwards, whatever a model's forward sets."""
    before = [(read, make, value) for read, make in _settings() for value in _read(read)]
    try:
        yield
    finally:
        for read, make, value in before:
            if _read(read) != [value]:
                make(value)


def _read(read: Reads) -> list[Any]:
    # torch refuses to read some settings where old and new ways to set them were mixed; versions differ in settings.
    with suppress(RuntimeError, AttributeError):
        return [read()]
    return []


def _settings() -> list[tuple[Reads, Makes]]:
    pairs = [(_part(f"{home}.{read}"), _part(f"{home}.{make}")) for home, read, make in _PAIRS]
    found = [(read, make) for read, make in pairs if read is not None and make is not None]
    for home, names in _ATTRIBUTES.items():
        owner = _part(home)
        found += [(functools.partial(getattr, owner, name), functools.partial(setattr, owner, name)) for name in names]
    for device in _AUTOCAST:
        autocast = (
            functools.partial(torch.set_autocast_enabled, device),
            functools.partial(torch.set_autocast_dtype, device),
        )
        found.append((functools.partial(torch.is_autocast_enabled, device), autocast[0]))
        found.append((functools.partial(torch.get_autocast_dtype, device), autocast[1]))
    return [*found, (_default_device, torch.set_default_device), (_anomaly, _set_anomaly), (np.geterr, _set_errors)]


def _part(path: str) -> Any:
    """The part of torch that a path names; None where this version has no such part."""
    found: Any = torch
    for name in path.split(".")[1:]:
        found = getattr(found, name, None)
    return found


def _default_device() -> torch.device | None:
    """The device that `torch.set_default_device` set; one set by a `with` block does not count."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # pyright: ignore[reportPrivateUsage]
    return None if context is None else context.device


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_anomaly(state: tuple[bool, bool]) -> None:
    torch.set_anomaly_enabled(*state)


def _set_errors(state: dict[str, Any]) -> None:
    np.seterr(**state)


@contextmanager
def same_random_state() -> Generator[None]:
    """Restores the random states of Python, numpy and torch afterwards."""
    states = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def seeded_random_state(seed: int) -> Generator[None]:
    """Seeds all random generators, and restores their states afterwards."""
    with same_random_state():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield
