"""The check that an index is of this network and keeps what is wished."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from featmap.errors import OtherIndex
from featmap.index.schema.describe import wanted_places
from featmap.index.schema.description import Description
from featmap.index.schema.fingerprint import network_fingerprint, preprocessing_fingerprint
from featmap.index.schema.wish import Wish
from featmap.network.network import CapturedNetwork
from featmap.run.magnitudes import is_complex


def check_same(description: Description, network: CapturedNetwork, wish: Wish, path: str | Path) -> None:
    """Raises: OtherIndex: the index is of another network or preprocessing, or keeps other things than are wished."""
    ours, theirs = network_fingerprint(network), description.network
    if ours != theirs:
        raise OtherIndex(
            f"'{path}' is the index of another network: its fingerprint is {theirs} ({description.model}, weights: "
            f"{description.weights_source}), that of {network.name} (weights: {network.weights_source}) is {ours}.",
            "Give the network that it was built with, its weights too (--weights), or build into another path.",
        )
    ours, theirs = preprocessing_fingerprint(network), description.preprocessing
    if ours != theirs:
        raise OtherIndex(
            f"'{path}' was built with another preprocessing: {theirs} ({description.preprocess.describe()}); "
            f"now it is {ours} ({network.preprocessing.describe()}).",
            "Give the preprocessing that it was built with, or build into another path.",
        )
    _check_magnitudes(description, network, path)
    problems = [problem for name in _COMPARED if (problem := _difference(name, description, network, wish))]
    if problems:
        raise OtherIndex(
            f"'{path}' keeps something else: {'; '.join(problems)}.",
            "Leave these settings out, and the index goes on with its own; or build into another path.",
        )


def _check_magnitudes(description: Description, network: CapturedNetwork, path: str | Path) -> None:
    """Raises: OtherIndex: of complex maps an old index kept the real parts, to which no magnitudes can be added."""
    old = [layer.address for layer in description.layers if layer.magnitudes is None]
    wrong = [address for address in old if is_complex(network.sized, network.place(address).node)]
    if wrong:
        raise OtherIndex(
            f"'{path}' was built by featmap {description.version}, which kept of the complex values of "
            f"{', '.join(wrong[:4])} the real parts alone; now their magnitudes are measured.",
            "Build the index again, at another path.",
        )


_COMPARED = tuple(field.name for field in fields(Wish))


def _difference(name: str, description: Description, network: CapturedNetwork, wish: Wish) -> str:
    wished = getattr(wish, name)
    if wished is None:
        return ""
    if name not in ("layers", "full"):
        kept = getattr(description, name)
        return "" if wished == kept else f"{name} is {kept}, not {wished}"
    stage = wish.stage or description.stage
    wanted = [place.key for place in wanted_places(network, wished, stage)]
    kept_layers = [layer.address for layer in description.layers] if name == "layers" else list(description.full)
    missing = [address for address in wanted if address not in kept_layers]
    # Layers whose whole maps are kept are indexed too, without being named.
    more = [address for address in kept_layers if address not in (*wanted, *description.full)]
    words = [f"it has no {', '.join(missing[:4])}"] if missing else []
    words += [f"it has {', '.join(more[:4])} too"] if more else []
    return f"{name}: {' and '.join(words)}" if words else ""
