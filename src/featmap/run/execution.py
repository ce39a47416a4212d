"""Where and how a question is computed: the numbers' type, the device, and the memory of one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch


@dataclass(frozen=True)
class Execution:
    """How a question is computed; None leaves it to the network, and the memory to what is available."""

    dtype: torch.dtype | None = None
    device: torch.device | None = None
    memory_bytes: int | None = None


class ExecutionOptions(TypedDict, total=False):
    """The same as keywords of a question."""

    dtype: torch.dtype | None
    device: str | torch.device | None
    memory_bytes: int | None
