"""Process-wide settings and random states: a forward may change them, and they are restored afterwards."""

from __future__ import annotations

import contextvars
import os
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
import featmap.api
from featmap.capture.state.torch_state import same_settings
from featmap.errors import FeatmapError
from support.model_state import settings

VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("VARIABLE", default=None)
SETTERS: dict[str, Callable[[], Any]] = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "gradients": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "deterministic": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "filling": lambda: setattr(torch.utils.deterministic, "fill_uninitialized_memory", False),
    "precision of matmul": lambda: torch.set_float32_matmul_precision("medium"),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "warnings": lambda: torch.set_warn_always(True),
    "cudnn": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "cudnn.allow_tf32": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "mkldnn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "mkldnn.deterministic": lambda: setattr(torch.backends.mkldnn, "deterministic", True),
    "flash attention": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "fast path": lambda: torch.backends.mha.set_fastpath_enabled(False),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "dtype of autocast": lambda: torch.set_autocast_dtype("cpu", torch.float16),
    "numpy's errors": lambda: np.seterr(all="ignore"),
    "context variable": lambda: VARIABLE.set("late"),
    "Python's random numbers": lambda: random.random(),
    "numpy's random numbers": lambda: np.random.rand(),
    "torch's random numbers": lambda: torch.manual_seed(7),
}


class Setting(nn.Module):
    def __init__(self, setter: Callable[[], Any]) -> None:
        super().__init__()
        self.conv, self.setter = nn.Conv2d(3, 4, 3), setter

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.setter()
        return y * 1


def state() -> list[Any]:
    return [settings(), VARIABLE.get(), random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SETTERS)
def test_what_a_forward_sets_is_put_back(name: str) -> None:
    module = Setting(SETTERS[name]).eval()
    before = state()
    # Whether it can be captured is another question: autocast cannot, for one.
    with suppress(FeatmapError):
        fm.trace(module, (3, 8, 8))
    assert state() == before


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in SETTERS if "random" not in name and "variable" not in name])
def test_every_setting_is_seen_by_the_comparison(name: str) -> None:
    before = settings()
    with same_settings():
        SETTERS[name]()
        assert settings() != before
    assert settings() == before


FIRST = """
import random
import numpy as np, torch
import featmap as fm
def state():
    return random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()
module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
before = state()
net = fm.{first}
assert state() == before, "first"
image = torch.zeros(1, 3, 12, 12)
for ask in (lambda: net.plan(), lambda: net.maps(image, progress=False), lambda: net.explain(image, "0:z/1@2,3"),
            lambda: net.occlude(image, "0:z/1@2,3", window=4, stride=4, progress=False).show(),
            lambda: str(net.plan()), lambda: net.plan()._repr_html_(),
            lambda: net.maps(image, "0:z", progress=True)["0:z"].show(),
            lambda: net.project(image, "0:z/1").show(), lambda: net.receptive_field("0:z")):
    ask()
    assert state() == before, ask
"""


@pytest.mark.parametrize(
    "first",
    [
        "trace(module, (3, 12, 12))",
        "load('support.tiny_modules:first_of_a_process', input_shape=(3, 12, 12))",
    ],
)
def test_the_first_questions_of_a_process_leave_random_numbers_alone(first: str) -> None:
    """What is imported on the way may draw some: rich does."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(fm.__file__).parents[1])])
    command = [sys.executable, "-W", "ignore", "-c", FIRST.format(first=first)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
