"""The sources of a network's weights: the module's own tensors, or random ones made when values are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn
from torch.export import ExportedProgram

from featmap.capture.state.torch_state import seeded_random_state
from featmap.errors import FeatmapWarning, InputError, warn_caller

RANDOM_SEED = 0


class RandomWeights(FeatmapWarning):
    """Values were computed with a network that has no trained weights."""


class LiveTensors(Mapping[str, Tensor]):
    """The tensors of a real module, by the names that the graph uses; always the module's current ones."""

    description = "the module's own"

    def __init__(self, program: ExportedProgram) -> None:
        self._tensors: dict[str, Tensor] = {**program.state_dict, **_tensors_of(program.constants)}

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        if tensor.is_meta:
            raise InputError(
                f"'{name}' is on the meta device and holds no values.",
                "Plans and fields need none; for values load weights: module.to_empty(device='cpu'), load_state_dict.",
            )
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


class RandomTensors(Mapping[str, Tensor]):
    """The tensors of a network that was built without weights: made at first use, from a fixed seed."""

    description = f"random (seed {RANDOM_SEED})"

    def __init__(self, build: Callable[[], tuple[nn.Module, Mapping[str, Tensor]]], name: str) -> None:
        self._build = build
        self._name = name
        self._tensors: Mapping[str, Tensor] | None = None

    def _made(self) -> Mapping[str, Tensor]:
        if self._tensors is None:
            warn_caller(
                f"{self._name} has no trained weights: its values come from random weights (seed {RANDOM_SEED}).",
                RandomWeights,
            )
            with seeded_random_state(RANDOM_SEED):
                _, self._tensors = self._build()
        return self._tensors

    def __getitem__(self, name: str) -> Tensor:
        return self._made()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


def _tensors_of(constants: Mapping[str, object]) -> dict[str, Tensor]:
    return {name: value for name, value in constants.items() if isinstance(value, Tensor)}
