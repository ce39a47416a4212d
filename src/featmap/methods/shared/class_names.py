"""Classes as targets: by their number, or by their name where the network knows the names."""

from __future__ import annotations

import re
from operator import index as index_of
from typing import Any, SupportsIndex

from featmap.errors import AddressError, AmbiguousAddress, NoSuchLayer, NoSuchTarget, nearest
from featmap.network.network import CapturedNetwork
from featmap.network.resolve import Place


def class_named(network: CapturedNetwork, target: Any) -> int | None:
    """The number of the class that a target names; None where it names something else.

    A number is a class's number, whatever the names are; the case of a name does not matter.
    Raises: AmbiguousAddress: several classes, or a class and a layer, have that name. NoSuchTarget: nothing has it.
    """
    if isinstance(target, SupportsIndex):
        return index_of(target)
    text = target.strip() if isinstance(target, str) else ""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if not text or text.startswith("["):
        return None
    found = [number for number, name in enumerate(network.classes or ()) if name.casefold() == text.casefold()]
    place = _place(network, text)
    if not found:
        _check_known(network, text, place)
        return None
    if len(found) > 1 or isinstance(place, Place):
        raise _ambiguous(network, text, found, place)
    return found[0]


def class_words(network: CapturedNetwork, number: int) -> str:
    """A class as titles call it: its number, with its name where that is known."""
    return f"class {number}" if network.classes is None else f"class {number} ({network.classes[number]})"


def _place(network: CapturedNetwork, text: str) -> Place | AddressError:
    try:
        return network.place(text)
    except AddressError as error:
        return error


def _check_known(network: CapturedNetwork, text: str, place: Place | AddressError) -> None:
    """Raises: NoSuchTarget: the name is of nothing; an address beyond a layer's name has errors of its own."""
    if network.scores is None or not isinstance(place, NoSuchLayer) or re.search(r"[#:/@]", text):
        return
    layers = nearest(text, [*(layer.name for layer in network.layers), *network.names.calls], what="layers")
    ends = f"{layers} `featmap plan` lists all layers.".strip()
    if network.classes is None:
        problem = f"'{text}' is not a layer of {network.name}, and its classes have no names."
        raise NoSuchTarget(problem, f"{ends} Names of classes are given with it: classes=FILE (--classes FILE).")
    problem = f"'{text}' is neither a class nor a layer of {network.name}."
    raise NoSuchTarget(problem, f"{nearest(text, network.classes, what='classes')} {ends}".strip())


def _ambiguous(network: CapturedNetwork, text: str, found: list[int], place: Place | AddressError) -> AmbiguousAddress:
    named = " and ".join(class_words(network, number) for number in found)
    if isinstance(place, Place):
        number = " or ".join(map(str, found))
        problem = f"'{text}' names {named} and a layer of {network.name}."
        return AmbiguousAddress(problem, f"Write {number} for the class, or an address such as {place.key}/0.")
    return AmbiguousAddress(
        f"'{text}' names {len(found)} classes of {network.name}: {named}.",
        f"Say which by its number: {' or '.join(map(str, found))}.",
    )
