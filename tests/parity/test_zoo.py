"""Plans of the zoos' networks against the networks themselves, run without memory: shapes, parameters, multiply-adds.

In every test run one network of each family is compared; with FEATMAP_WHOLE_ZOO, as in `make wild`, all are.

Shapes come from forward hooks, multiply-adds from torch's own counter below the operators that featmap's table names
(convolutions and matrix products as they are dispatched). Both see the running module, never the captured graph.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from featmap.methods.plan import Plan, PlanRow, plan
from featmap.sources.load import load_network
from featmap.testing.zoo import TIMM, timm_families, torchvision_names, zoo_examples, zoo_module, zoo_names

CONSTANT_WORK = {"timm:edgenext_xx_small": ["stages.1.blocks.1.pos_embd"]}
"""Modules that run on constants (the code of a position, alike for every image): a plan counts what an image costs."""

UNKNOWN: dict[str, list[str]] = {}
"""Operators that are not in the table: treated as reading everything."""

COMPARED = 0.95
"""The least share of a network's convolution calls whose shape must have been compared; the others run on constants."""

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "networks.md").read_text(encoding="utf-8")


def _script(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Its data classes look their module up.
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


networks_page = _script(DOCS / "make_networks.py")


@dataclass
class Run:
    """What a running module showed: its parameters in use; by module path output shapes, call after call, and MACs."""

    output: tuple[int, ...] = ()
    shapes: defaultdict[str, list[tuple[int, ...]]] = field(default_factory=lambda: defaultdict(list))
    convolutions: list[str] = field(default_factory=list)
    used_parameters: int = 0
    macs: int = 0
    macs_of: dict[str, int] = field(default_factory=dict)


class ParametersInUse(TorchFunctionMode):
    """While active, notes every parameter that is given to an operator."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[nn.Parameter] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") != "__get__":
            self.found |= {leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, nn.Parameter)}
        return func(*args, **(kwargs or {}))


def run_without_memory(module: nn.Module, input_shape: tuple[int, ...]) -> Run:
    found = Run()

    def hook_of(path: str) -> Any:
        def hook(part: nn.Module, _: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            found.shapes[path].append(tuple(output.shape))
            if isinstance(part, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                found.convolutions.append(path)

        return hook

    handles = [part.register_forward_hook(hook_of(path)) for path, part in module.named_modules()]
    with torch.no_grad(), ParametersInUse() as parameters, FlopCounterMode(display=False) as counter:
        found.output = tuple(module(torch.empty(1, *input_shape, device="meta")).shape)
    for handle in handles:
        handle.remove()
    found.used_parameters = sum(parameter.numel() for parameter in parameters.found)
    # torch counts a multiplication and an addition as two operations.
    found.macs = counter.get_total_flops() // 2
    found.macs_of = {path.partition(".")[2]: sum(n.values()) // 2 for path, n in counter.get_flop_counts().items()}
    return found


def call_of(row: PlanRow) -> tuple[str, int]:
    path, _, number = row.address.partition("#")
    return path, int(number or 1) - 1


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A channels-last output as a plan writes it."""
    return (shape[-1], *shape[1:-1])


def compared_shapes(found: Plan, run: Run) -> set[tuple[str, int]]:
    """The module calls whose output shape is a row's, and an assertion error where one is not."""
    compared: set[tuple[str, int]] = set()
    for row in found:
        path, number = call_of(row)
        if number < len(run.shapes.get(path, ())):
            shape = run.shapes[path][number]
            # Where the first axis holds windows or tokens, not images, it is a part of the shape.
            planned = (shape[1:], channels_first(shape), shape)
            assert row.output_shape in planned, f"{row.address}: the module gives {shape}"
            compared.add((path, number))
    return compared


@pytest.mark.parametrize("model", zoo_names() if os.environ.get("FEATMAP_WHOLE_ZOO") else zoo_examples())
def test_the_plan_is_the_running_networks(model: str, record_property: Any) -> None:
    record_property("zoo", model)
    network = load_network(model)
    found = plan(network)
    record_property("zoo captured", model)
    module = zoo_module(model)
    run = run_without_memory(module, found.input_shape)

    (output,) = network.graph.outputs
    assert network.sized.shape(output) == run.output
    compared = compared_shapes(found, run)
    convolutions = {(path, at) for path in set(run.convolutions) for at in range(run.convolutions.count(path))}
    assert len(convolutions & compared) >= COMPARED * len(convolutions)
    record_property("zoo shapes", [len(compared), len(convolutions & compared), len(convolutions)])

    assert found.totals.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert sum(row.parameters for row in found) == run.used_parameters

    assert list(network.unknown_operators) == UNKNOWN.get(model, [])
    assert bool(found.totals.unknown_macs) == bool(network.unknown_operators)
    assert found.totals.macs == run.macs - sum(run.macs_of[path] for path in CONSTANT_WORK.get(model, ()))

    if networks_page.versions() in PAGE:
        assert networks_page.line(network, found) in PAGE, "docs/networks.md is old: run docs/make_networks.py"


def test_wrong_shapes_are_found() -> None:
    network = load_network("torchvision:resnet18")
    found = plan(network)
    run = run_without_memory(zoo_module("torchvision:resnet18"), found.input_shape)
    assert ("layer1.0.relu", 0) not in compared_shapes(found, run)
    assert {("layer1.0", 0), ("conv1", 0), ("fc", 0)} <= compared_shapes(found, run)
    run.shapes["layer1.0"][0] = (1, 64, 56, 55)
    with pytest.raises(AssertionError, match=r"layer1\.0: the module gives \(1, 64, 56, 55\)"):
        compared_shapes(found, run)


def test_the_zoo_is_large_enough() -> None:
    assert set(zoo_examples()) < set(zoo_names())
    assert len(zoo_examples()) >= 90
    timm = [name for names in TIMM.values() for name in names.split()]
    assert len(torchvision_names()) >= 60
    assert len(set(timm)) == len(timm) >= 70
    assert len(timm_families()) >= 25
