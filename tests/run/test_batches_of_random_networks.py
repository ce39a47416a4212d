"""Batches of any size give what one image after the other gives, and budgets of memory change nothing but the size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.network.network import CapturedNetwork
from featmap.run import batches
from featmap.run.batches import can_batch, even_part, keeps_images_apart, run_batches
from featmap.run.memory import LARGEST_BATCH, batch_size, peak_bytes
from featmap.run.program.program import Program
from featmap.testing.oracles import node_values
from featmap.testing.strategies import RandomNetwork, networks
from support.closeness import assert_close
from support.occlusion_cases import REGIONAL, WHOLE, case
from support.tiny_modules import conv, written
from support.zoo_networks import seeded

EXAMPLES = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def run_in(size: int, net: CapturedNetwork, images: Tensor, wanted: list[int], seen: list[int]) -> dict[int, Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "batch_size", lambda _, count: min(size, count))
        return run_batches(net, images, wanted, progress=lambda done, _: seen.append(done))


@EXAMPLES
@given(networks(), st.data(), st.integers(1, 6), st.integers(1, 7))
def test_every_value_of_every_image(drawn: RandomNetwork, data: st.DataObject, count: int, size: int) -> None:
    seeded(drawn.module, count)
    net = fm.trace(drawn.module, inputs=torch.zeros(1, *drawn.input_shape, dtype=torch.float64))._captured
    images = torch.randn((count, *drawn.input_shape), generator=torch.Generator().manual_seed(size)).double()
    made = [node.index for node in net.graph if node.depends_on_input and not node.is_input]
    wanted = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    seen: list[int] = []
    found = run_in(size, net, images, wanted, seen)
    assert seen == [*range(min(size, count), count, size), count][: len(seen)]
    assert seen[-1] == count
    one_by_one = [node_values(net.graph, net.tensors, image[None]) for image in images]
    for index in wanted:
        expected = torch.cat([values[index] for values in one_by_one])
        assert_close(found[index].contiguous(), expected, net.graph[index].operator)


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
@pytest.mark.parametrize("name", [*REGIONAL, *WHOLE][::3])
def test_networks_of_every_kind(name: str) -> None:
    """What mixes images, or does not say which part is whose, runs one by one; all others in batches of two."""
    asked = case(name)
    net = asked.net._captured
    (output, *_) = net.graph.outputs
    assert output is not None
    images = torch.cat([asked.image, asked.image.flip(2), asked.image.flip(3)])
    found = run_in(2, net, images, [output], [])[output]
    with torch.no_grad():
        expected = torch.cat([torch.atleast_1d(asked.module(image[None])) for image in images])
    assert_close(found.contiguous(), expected, name)


@given(st.integers(1, 10**12), st.integers(1, 10**4), st.integers(0, 10**13))
def test_a_batch_is_as_large_as_the_budget_and_the_images_allow(per_image: int, count: int, budget: int) -> None:
    size = batch_size(per_image, count, budget)
    assert 1 <= size <= min(count, LARGEST_BATCH)
    assert size == 1 or size * per_image <= budget
    grown = size + 1
    assert grown > min(count, LARGEST_BATCH) or grown * per_image > budget


@given(st.integers(1, 10**6), st.integers(-3, 10**6))
def test_parts_are_as_few_as_can_be_and_differ_by_less_than_their_number(count: int, most: int) -> None:
    part = even_part(count, most)
    assert 1 <= part <= max(most, 1)
    fewest = -(-count // max(most, 1))
    assert -(-count // part) == fewest
    assert part * fewest - count < fewest, "the last part lacks less than one of every other"


MIXING = {
    "mean": lambda y: y - y.mean(0, keepdim=True),
    "softmax": lambda y: y.softmax(0),
    "flipped": lambda y: y.flip(0),
    "batch norm of the batch": lambda y: functional.batch_norm(y, None, None, training=True),
}


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
@pytest.mark.parametrize("name", MIXING)
def test_a_model_that_mixes_images_is_not_run_in_batches(name: str) -> None:
    module = written(lambda self, x: MIXING[name](self.c(x)), c=conv())
    net = fm.trace(module, (3, 6, 6))._captured
    (output,) = net.graph.outputs
    assert output is not None
    assert not keeps_images_apart(net, [output])
    program = Program(net.captured, net.tensors, [output])
    assert not can_batch(net, program, [output], (2, 3, 6, 6))
    assert keeps_images_apart(net, [net.place("c:conv").node])


def test_batches_take_no_more_memory_than_they_were_sized_for() -> None:
    module = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 4)).eval()
    net = fm.trace(module, (3, 16, 16))._captured
    (output,) = net.graph.outputs
    assert output is not None
    one = peak_bytes(net.sized, [output])
    several = fm.trace(module, inputs=torch.zeros(4, 3, 16, 16))._captured
    assert peak_bytes(several.captured, [output]) == 4 * one
