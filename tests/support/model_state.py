"""Everything about a module and its surroundings that a question must not change."""

from __future__ import annotations

import logging
import random
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from support.reachable_state import Reachable, assert_same_reachable

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")


@dataclass
class ModelState:
    """What a module looked like at one moment: tensors, modes, hooks, attributes, randomness, torch's switches, and all
    that can be reached from it: classes and globals of functions too."""

    identities: dict[str, int]
    contents: dict[str, Tensor]
    gradients: dict[str, Tensor | None]
    wanting_gradients: dict[str, bool]
    training: dict[str, bool]
    hooks: dict[str, list[Any]]
    attributes: dict[str, dict[str, Any]]
    random: tuple[Any, ...]
    switches: list[Any]
    reachable: Reachable


def model_state(module: nn.Module) -> ModelState:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    parts = dict(module.named_modules())
    return ModelState(
        identities={name: id(tensor) for name, tensor in tensors.items()},
        contents={name: tensor.detach().clone() for name, tensor in tensors.items()},
        gradients={name: None if tensor.grad is None else tensor.grad.clone() for name, tensor in tensors.items()},
        wanting_gradients={name: tensor.requires_grad for name, tensor in tensors.items()},
        training={path: part.training for path, part in parts.items()},
        hooks={f"{path} {kind}": list(getattr(part, kind).items()) for path, part in parts.items() for kind in _HOOKS},
        attributes={path: _plain_attributes(part) for path, part in parts.items()},
        random=(torch.get_rng_state().tolist(), _numpy_state(), random.getstate()),
        switches=settings(),
        reachable=Reachable(module),
    )


def _plain_attributes(part: nn.Module) -> dict[str, Any]:
    """Attributes that are neither torch's own tables nor tensors; `forward` shows whether it was patched."""
    own = {name: value for name, value in vars(part).items() if isinstance(value, int | float | str | bool | tuple)}
    return {**own, "forward": getattr(part.forward, "__func__", part.forward), "names": sorted(vars(part))}


def _numpy_state() -> Any:
    kind, keys, *rest = np.random.get_state()
    return kind, keys.tolist(), rest


def settings() -> list[Any]:
    """torch's, numpy's and Python's settings for the whole process, each asked for by itself."""
    cuda, cudnn, mkldnn = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
    return [
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda")],
        logging.getLogger("torch").level,
        list(warnings.filters),
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.get_float32_matmul_precision(),
        torch.is_warn_always_enabled(),
        [cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32],
        [mkldnn.enabled, mkldnn.deterministic],
        [cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()],
        torch.backends.mha.get_fastpath_enabled(),
        (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        np.geterr(),
    ]


def assert_same_state(before: ModelState, after: ModelState) -> None:
    """Nothing differs. Raises: AssertionError: with the name of what does."""
    for field in ("identities", "wanting_gradients", "training", "hooks", "attributes", "random", "switches"):
        assert getattr(before, field) == getattr(after, field), field
    for field in ("contents", "gradients"):
        first, second = getattr(before, field), getattr(after, field)
        assert first.keys() == second.keys(), field
        for name, tensor in first.items():
            other = second[name]
            assert (tensor is None) == (other is None), f"{field} of {name}"
            assert tensor is None or torch.equal(tensor, other), f"{field} of {name}"
    assert_same_reachable(before.reachable, after.reachable)
