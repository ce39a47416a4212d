"""Weights files of wrapped modules, which fit the module itself, and of other networks, which are refused briefly."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from featmap.errors import WeightsMismatch
from featmap.sources.weight_names import PrefixesRemoved
from featmap.sources.weights import load_weights


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)


class WithModule(nn.Module):
    """A network whose own names begin with what a wrapper would put there."""

    def __init__(self) -> None:
        super().__init__()
        self.module, self.model = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)


def renamed(source: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in source.state_dict().items()}


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "model.net."]
)
def test_prefixes_of_wrappers_are_taken_away_and_said(tmp_path: Path, prefix: str) -> None:
    source, target, path = Small(), Small(), tmp_path / "weights.pth"
    torch.save(renamed(source, prefix), path)
    with pytest.warns(PrefixesRemoved, match="was saved from a wrapped module"):
        load_weights(target, path)
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor), name


def test_a_part_that_was_compiled_alone_is_met(tmp_path: Path) -> None:
    source, target, path = Small(), Small(), tmp_path / "weights.pth"
    state = {name.replace("stem.", "stem._orig_mod."): tensor for name, tensor in source.state_dict().items()}
    torch.save(state, path)
    with pytest.warns(PrefixesRemoved, match="'_orig_mod.' left out"):
        load_weights(target, path)
    assert torch.equal(target.stem[0].weight, source.stem[0].weight)


@pytest.mark.parametrize("kind", [Small, WithModule])
def test_names_that_are_the_networks_own_stay(tmp_path: Path, kind: type[nn.Module]) -> None:
    source, target, path = kind(), kind(), tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_weights(target, path)
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor), name


def test_of_another_networks_weights_ten_mismatches_and_a_count_are_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({f"module.layer{number}.weight": torch.zeros(1) for number in range(30)}, path)
    with pytest.raises(WeightsMismatch) as refusal:
        load_weights(Small(), path)
    count = 30 + len([name for name in Small().state_dict() if not name.endswith("num_batches_tracked")])
    lines = refusal.value.problem.splitlines()
    assert f"{count} of its tensors do not fit" in lines[0]
    assert lines[1] == "  missing in the file: stem.0.weight (4, 3, 3, 3)"
    assert len(lines) == 12
    assert lines[-1] == f"  ... and {count - 10} more"
