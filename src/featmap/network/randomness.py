"""Operators that draw random numbers even in evaluation: torch's tag says which can, their settings which do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

import torch

from featmap.errors import FeatmapWarning
from featmap.graph.graph import Node
from featmap.graph.operators.base.call import named_arguments
from featmap.graph.schema import is_operator
from featmap.network.network import CapturedNetwork


class RandomInEvaluation(FeatmapWarning):
    """The result holds for one draw of random numbers."""


@contextmanager
def random_numbers_apart() -> Generator[None]:
    """What is drawn within leaves the user's own sequence as it is: a model may draw in evaluation too."""
    with torch.random.fork_rng(devices=[]):
        yield


def is_random(node: Node) -> bool:
    """Whether the operator's value differs between runs.

    Dropout draws nothing in evaluation or with a probability of 0 or 1; attention and rrelu have similar switches.
    """
    if not is_operator(node.target) or torch.Tag.nondeterministic_seeded not in node.target.tags:  # type: ignore[union-attr]
        return False
    settings = named_arguments(node)
    chance = settings.get("dropout_p", settings.get("p"))
    draws = settings.get("training", settings.get("train"))
    return draws is not False and not (isinstance(chance, int | float) and chance in (0, 1))


def random_operators(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[str, ...]:
    """The addresses of the random operators that these values depend on."""
    return operators_behind(network, wanted, is_random)


def operators_behind(
    network: CapturedNetwork, wanted: Iterable[int], is_asked: Callable[[Node], bool]
) -> tuple[str, ...]:
    """The addresses of the operators of a kind that these values depend on."""
    graph, names = network.graph, network.names
    found = (graph[index] for index in sorted(graph.ancestors(list(wanted))))
    return tuple(names.text(names.operator[node.index]) for node in found if is_asked(node))
