"""Planned steps, replayed by a keeper that knows only what lies where: nothing is read after it is gone.

The keeper follows the plan and not the program: which memory a value lies in, what was freed, and what written over.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.graph.graph import Graph
from featmap.network.network import CapturedNetwork
from featmap.run.memory import activation_bytes, peak_bytes, size_bytes
from featmap.run.program.program import Program
from featmap.run.program.steps import Step, can_fold, may_share_memory, plan_steps
from featmap.testing.oracles import node_values
from featmap.testing.strategies import RandomNetwork, networks
from support.closeness import assert_close
from support.occlusion_cases import REGIONAL, WHOLE, case
from support.tiny_modules import conv, written
from support.zoo_networks import seeded

EXAMPLES = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
CASES = [*REGIONAL, *WHOLE][::4]


def captured(drawn: RandomNetwork, seed: int = 0) -> CapturedNetwork:
    seeded(drawn.module, seed)
    return fm.trace(drawn.module, inputs=torch.zeros(1, *drawn.input_shape, dtype=torch.float64))._captured


def made_of_input(graph: Graph) -> list[int]:
    return [node.index for node in graph if node.depends_on_input and not node.is_input]


class Keeper:
    """Which values hold what was computed into them, and which memory they lie in."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.memory: dict[int, int] = {index: index for index in graph.inputs}
        self.spoilt: set[int] = set()
        self.freed: set[int] = set()

    def run(self, steps: Iterable[Step]) -> None:
        for step in steps:
            read = [index for index in self._read(step) if self.graph[index].depends_on_input]
            for index in read:
                assert index in self.memory, f"{step.node.operator} reads {index}, which was never made"
                assert index not in self.spoilt, f"{step.node.operator} reads {index}, which was written over"
                assert index not in self.freed, f"{step.node.operator} reads {index}, which was freed"
            self._make(step, read)
            for index in step.frees:
                assert index not in self.freed, f"{index} is freed twice"
                self.freed.add(index)

    def _read(self, step: Step) -> tuple[int, ...]:
        return step.node.inputs

    def _make(self, step: Step, read: list[int]) -> None:
        lies_in = step.result
        if step.overwrites:
            lies_in = self.memory[read[0]]
            assert lies_in not in self.graph.inputs, "the images are the caller's"
            self.spoilt |= {index for index, place in self.memory.items() if place == lies_in}
        elif read and may_share_memory(step.node):
            lies_in = self.memory[read[0]]
        self.memory[step.result] = lies_in
        self.spoilt.discard(step.result)


def check_plan(graph: Graph, wanted: list[int], *, keep_wanted: bool) -> tuple[Step, ...]:
    steps = plan_steps(graph, wanted, keep_wanted=keep_wanted)
    keeper = Keeper(graph)
    keeper.run(steps)
    if keep_wanted:
        for index in wanted:
            assert index not in keeper.freed | keeper.spoilt
    return steps


@EXAMPLES
@given(networks(), st.data())
def test_nothing_is_read_after_it_is_gone(drawn: RandomNetwork, data: st.DataObject) -> None:
    graph = captured(drawn).graph
    wanted = data.draw(st.lists(st.sampled_from(made_of_input(graph)), min_size=1, max_size=4, unique=True))
    steps = check_plan(graph, wanted, keep_wanted=data.draw(st.booleans()))
    assert {step.result for step in steps} >= set(wanted)
    assert {step.node.index for step in steps} <= graph.ancestors(tuple(wanted)) | set(wanted)


@pytest.mark.parametrize("name", CASES)
def test_nor_in_networks_with_every_kind_of_view(name: str) -> None:
    graph = case(name).net._captured.graph
    made = made_of_input(graph)
    for wanted in ([made[-1]], made[: len(made) // 2 + 1], made[::2], made):
        for keep_wanted in (True, False):
            check_plan(graph, wanted, keep_wanted=keep_wanted)


VIEWS = {
    "slice": lambda z: (functional.relu(z).sum(1), z[:, :2]),
    "slice, read later": lambda z: (z[:, :2], functional.relu(z)),
    "parts": lambda z: (z.chunk(2, 1), functional.relu(z)),
    "view of a view": lambda z: (z.flatten(2).transpose(1, 2), functional.silu(z)),
    "expanded": lambda z: (z.expand(2, 1, 4, 9, 8), functional.relu(z)),
}
"""A value that a nonlinearity could write over, and views of it that are read afterwards."""


@pytest.mark.parametrize("name", VIEWS)
def test_nor_where_a_view_still_shows_what_could_be_written_over(name: str) -> None:
    def forward(self: nn.Module, x: Tensor) -> list[Tensor]:
        first, second = VIEWS[name](self.c(x))
        return [part * 2 for made in (second, first) for part in (made if isinstance(made, tuple) else (made,))]

    graph = fm.trace(written(forward, c=conv(3, 4)), (3, 9, 8))._captured.graph
    outputs = [index for index in graph.outputs if index is not None]
    for wanted in (outputs, outputs[-1:], made_of_input(graph)):
        check_plan(graph, wanted, keep_wanted=True)
        check_plan(graph, wanted, keep_wanted=False)


def test_the_keeper_finds_what_is_wrong() -> None:
    graph = case("residual, strided").net._captured.graph
    steps = plan_steps(graph, [made_of_input(graph)[-1]])
    with pytest.raises(AssertionError, match="which was never made"):
        Keeper(graph).run(steps[1:])
    early = [*steps[:1], Step(steps[1].node, steps[1].target, steps[1].result, None, False, steps[-1].node.inputs)]
    with pytest.raises(AssertionError, match="which was freed"):
        Keeper(graph).run([*early, *steps[2:]])


@EXAMPLES
@given(networks())
def test_what_is_folded_is_a_batch_norm_that_alone_reads_its_convolution(drawn: RandomNetwork) -> None:
    net = captured(drawn)
    (output,) = net.graph.outputs
    assert output is not None
    for step in plan_steps(net.graph, [output]):
        if step.folded is not None:
            assert step.folded.base_name == "batch_norm"
            assert net.graph.readers[step.node.index] == (step.folded.index,)
            assert step.result == step.folded.index
            assert can_fold(net.graph, step.node.index, step.folded.index)
        else:
            assert step.result == step.node.index
    assert all(step.folded is None for step in plan_steps(net.graph, [output], fold=False))
    everything = made_of_input(net.graph)
    assert all(step.folded is None for step in plan_steps(net.graph, everything)), "every value is wanted"


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 99))
def test_values_that_are_handed_over_one_by_one_are_those_of_a_run_node_by_node(
    drawn: RandomNetwork, data: st.DataObject, seed: int
) -> None:
    """Each is right when it is handed over, although later steps write over it."""
    net = captured(drawn, seed)
    images = torch.randn((1, *drawn.input_shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    oracle = node_values(net.graph, net.tensors, images)
    made = made_of_input(net.graph)
    wanted = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=len(made), unique=True))
    seen: list[int] = []
    for index, value in Program(net.captured, net.tensors, wanted).each(images):
        seen.append(index)
        assert isinstance(value, Tensor)
        assert_close(value.contiguous(), oracle[index], net.graph[index].operator)
    assert sorted(seen) == sorted(wanted)


@EXAMPLES
@given(networks(), st.data())
def test_memory_at_the_worst_moment_is_between_the_largest_value_and_all_of_them(
    drawn: RandomNetwork, data: st.DataObject
) -> None:
    net = captured(drawn)
    sized, graph = net.sized, net.graph
    made = made_of_input(graph)
    wanted = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=4, unique=True))
    kept, passing = (peak_bytes(sized, wanted, keep_wanted=keep) for keep in (True, False))
    image = size_bytes(sized.specs[graph.image_input])
    largest = max(size_bytes(sized.specs[index]) for index in wanted)
    assert largest <= passing <= kept <= image + activation_bytes(sized)
    assert peak_bytes(sized, made) >= kept, "more wanted values never take less"
    assert peak_bytes(sized, [graph.image_input]) == image
