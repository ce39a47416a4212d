"""Why may the user's next call answer otherwise? Random numbers, state that it writes, other images in its batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from featmap.errors import FeatmapWarning
from featmap.graph.graph import Node
from featmap.graph.operators.base.call import named_arguments
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import RandomInEvaluation, operators_behind, random_operators


class StateInEvaluation(FeatmapWarning):
    """An answer holds for the state that the model is in now; its own next call changes it."""


class BatchStatistics(FeatmapWarning):
    """An answer holds for an image by itself; in a batch of several the model gives another."""


def uses_batch_statistics(node: Node) -> bool:
    """Whether a batch norm takes mean and variance from the images that run together, in evaluation too."""
    return "batch_norm" in node.base_name and named_arguments(node).get("training") is True


def batch_statistics(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[str, ...]:
    """The addresses of the operators with statistics of the batch that these values depend on."""
    return operators_behind(network, wanted, uses_batch_statistics)


def written_state(network: CapturedNetwork, wanted: Iterable[int] | None = None) -> tuple[str, ...]:
    """What the model writes in evaluation, of which these values may depend (all that it writes, without values)."""
    graph = network.graph
    if wanted is None:
        return tuple(written.name for written in graph.written)
    nodes = (graph[index] for index in graph.ancestors(list(wanted)))
    read = {name for node in nodes for name in node.weights}
    return tuple(written.name for written in graph.written if not written.is_weight or written.name in read)


def remarks(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[tuple[type[UserWarning], str], ...]:
    """Why what is asked for may be otherwise in the user's own next call, a sentence each."""
    wanted, name = list(wanted), network.name
    random, state, batch = (
        ", ".join(found(network, wanted)) for found in (random_operators, written_state, batch_statistics)
    )
    said = (
        (RandomInEvaluation, random, f"{name} is random in evaluation too, at {random}: this is one draw."),
        (
            StateInEvaluation,
            state,
            f"{name} writes in evaluation to {state}: this is the answer of its state now, which its own calls change.",
        ),
        (
            BatchStatistics,
            batch,
            f"{name} takes statistics of the batch in evaluation too, at {batch}: this is the answer of each image by "
            "itself.",
        ),
    )
    return tuple((kind, text) for kind, found, text in said if found)


def note_differences(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[str, ...]:
    """Warns where what is asked for may be otherwise in the user's own next call, and hands the sentences over."""
    found = remarks(network, wanted)
    for kind, text in found:
        warnings.warn(text, kind, stacklevel=4)
    return tuple(text for _, text in found)
