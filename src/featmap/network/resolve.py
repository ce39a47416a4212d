"""The resolver of addresses to values, with errors that say why there is none and what to ask for instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from featmap.errors import AmbiguousAddress, NoSuchChannel, NoSuchLayer, NoSuchStage, UnitOutOfRange, nearest
from featmap.geometry.place import place_words, unit_words
from featmap.geometry.setting import axis_words
from featmap.graph.graph import Graph, Node
from featmap.graph.operators.moving.cutting import Item
from featmap.graph.operators.pointwise import Sum
from featmap.graph.operators.table import operator_of, printed_name, title
from featmap.graph.sized_graph import SizedGraph
from featmap.network.address import Address, written
from featmap.network.layers import CapturedLayer
from featmap.network.names import CallName, Names

_STAGE_WORDS = {"conv": "weighted sum of its own", "z": "pre-activation", "a": "activation of its own"}


@dataclass(frozen=True)
class Place:
    """The meaning of an address: the full address, the node whose value it names, and the layer that it belongs to."""

    address: Address
    node: int
    layer: CapturedLayer | None

    @property
    def key(self) -> str:
        """The full address of the layer's stage, without channel and unit."""
        return str(self.address.of_layer)


class Resolver:
    """Finds places by address in one network."""

    def __init__(self, sized: SizedGraph, names: Names, layers: tuple[CapturedLayer, ...]) -> None:
        self.sized = sized
        self.graph: Graph = sized.graph
        self.names = names
        self.layers = layers
        self.by_call = {layer.call: layer for layer in layers}
        self.layer_of = {index: layer for layer in layers for index in layer.nodes}

    def place(self, text: str | Address) -> Place:
        """The place that an address names.

        Raises: NoSuchLayer, AmbiguousAddress, NoSuchStage, NoSuchChannel, UnitOutOfRange, AddressSyntaxError.
        """
        address = self._by_called_name(Address.parse(text))
        call = self._call(address)
        place = self._with_stage(address, call)
        self._check_channel(place)
        return place

    def stage_of(self, layer: CapturedLayer, stage: str | None = None) -> Place:
        """A stage of a layer, its last one by default."""
        return self.place(f"{layer.name}:{stage or layer.last_stage}")

    def channels(self, node: int) -> int:
        """The number of feature maps of a value."""
        shape, axes = self.sized.shape(node), self.sized.axes[node]
        count = 1
        for axis, size in enumerate(shape):
            if axis not in axes.known:
                count *= size
        return count

    def describe(self, node: int) -> str:
        """The address of a value: that of a layer's stage if it is one, else that of its operator call."""
        layer = self.layer_of.get(node)
        if layer is not None and node in layer.stages.values():
            return f"{layer.name}:{_made_by(layer, node)}"
        return self.names.text(self.names.operator[node])

    def _by_called_name(self, address: Address) -> Address:
        """The address with the name by which the forward called a module that has several names."""
        others, layer = self.graph.other_names, address.layer
        inside = [path for path in others if f"{layer}.".startswith(f"{path}.")]
        if layer in self.names.calls or not inside:
            return address
        path = max(inside, key=len)
        called = [other + layer.removeprefix(path) for other in others[path]]
        return next((replace(address, layer=name) for name in called if name in self.names.calls), address)

    def _call(self, address: Address) -> CallName:
        numbers = self.names.calls.get(address.layer)
        if numbers is None:
            known = self.names.calls
            paths = [*(layer.call.path for layer in self.layers), *known]
            hint = nearest(written(address.layer), list(map(written, paths)))
            raise NoSuchLayer(
                f"'{address}': the network has no layer '{written(address.layer)}'.",
                f"{hint} `featmap plan` lists all layers.".strip(),
            )
        name = written(address.layer)
        calls = ", ".join(f"{name}#{number}" for number in numbers)
        if address.call is None and len(numbers) > 1 and address.layer not in self.names.joined:
            raise AmbiguousAddress(f"'{name}' is called {len(numbers)} times.", f"Say which call: {calls}.")
        if address.call is not None and address.call not in numbers:
            times = f"{len(numbers)} time{'s' * (len(numbers) > 1)}"
            raise NoSuchLayer(
                f"'{address}': '{name}' is called {times}, there is no #{address.call}.", f"Ask for {calls}."
            )
        return CallName(address.layer, address.call or min(numbers))

    def _with_stage(self, address: Address, call: CallName) -> Place:
        if address.layer in self.names.joined:
            address = replace(address, call=call.number)
        layer = self.by_call.get(call)
        if layer is not None:
            return self._of_layer(address, layer, address.stage or _meant(layer))
        node = self._value(address, call)
        layer = self.layer_of.get(node)
        if layer is None:
            return self._of_operator(address, node)
        if address.stage is not None:
            return self._of_layer(address, layer, address.stage)
        stage = _made_by(layer, node)
        return Place(replace(address, stage=stage), node, layer)

    def _value(self, address: Address, call: CallName) -> int:
        values = list(self.names.values[call])
        if len(values) > 1:
            parts = _listed([self.names.text(self.names.operator[index]) for index in values])
            raise AmbiguousAddress(
                f"'{address.named_call}' returns {len(values)} values.", f"Name one of them: {parts}."
            )
        return self._tensor(address, values[0])

    def _tensor(self, address: Address, node: int) -> int:
        """The first tensor of several, or the one that is read; a plan lists its shape.

        Raises: AmbiguousAddress: more than one is read, and not only the first.
        """
        if not isinstance(self.sized.specs[node], tuple):
            return node
        items = [index for index in self.graph.readers[node] if isinstance(operator_of(self.graph[index]), Item)]
        read = {self.graph[index].args[1] for index in items}
        if len(read) == 1 or 0 in read:
            return next(index for index in items if self.graph[index].args[1] == min(read))
        parts = _listed([self.names.text(self.names.operator[index]) for index in items])
        raise AmbiguousAddress(
            f"'{address.named_call}' returns {len(items)} tensors that are read.", f"Name one of them: {parts}."
        )

    def _of_layer(self, address: Address, layer: CapturedLayer, stage: str) -> Place:
        node = layer.stages.get(stage)
        if node is None:
            raise self._no_stage(address, layer, stage)
        return Place(replace(address, stage=stage), node, layer)

    def _of_operator(self, address: Address, node: int) -> Place:
        if not self.graph[node].depends_on_input:
            raise NoSuchLayer(
                f"'{address}': its value is made of weights only; it is not a feature map of an image.",
                "`featmap plan` lists all layers.",
            )
        if address.stage not in (None, "a"):
            kind = operator_of(self.graph[node]).kind
            raise NoSuchStage(
                f"'{address}': '{address.named_call}' is a {kind} ({printed_name(self.graph[node])}); "
                f"it has no {_STAGE_WORDS[address.stage or 'a']}.",
                f"Ask for {replace(address, stage=None)}.",
            )
        return Place(replace(address, stage="a"), node, None)

    def _no_stage(self, address: Address, layer: CapturedLayer, stage: str) -> NoSuchStage:
        problem = f"'{address.named_call}' has no {_STAGE_WORDS[stage]}"
        if stage == "conv":
            return NoSuchStage(
                f"{problem}: it is a {layer.kind}, not a convolution.",
                f"Ask for {layer.name}:{'z' if 'z' in layer.stages else 'a'}, its value as it is.",
            )
        if stage == "z":
            return NoSuchStage(f"{problem}: it joins maps that are activations already.", f"Ask for {layer.name}:a.")
        reason, instead = self._why_no_activation(layer)
        asks = [f"{layer.name}:z for its maps as they are"] + ([instead] if instead else [])
        return NoSuchStage(f"{problem}: {reason}.", f"Ask for {', or '.join(asks)}.")

    def _why_no_activation(self, layer: CapturedLayer) -> tuple[str, str]:
        last = layer.stages["z"]
        readers = list(self.graph.readers[last])
        if not readers:
            return "its value is what the network returns", ""
        if len(readers) > 1:
            listed = _listed([self._described(index) for index in readers])
            return f"{len(readers)} operators read its maps ({listed})", ""
        reader = self.graph[readers[0]]
        merge = self.layer_of.get(reader.index)
        if merge is not None and operator_of(reader).is_merge:
            is_sum = isinstance(operator_of(reader), Sum)
            word = "added to a shortcut first" if is_sum else "joined with others first"
            after = "sum" if is_sum else "joined maps"
            ending = self._after_nonlinearity(merge)
            name = merge.name if "a" in merge.stages else f"{merge.name}:z"
            return f"its maps are {word}", f"{name} for the {after}{ending}"
        return f"its maps go straight to {self._described(reader.index)}", ""

    def _after_nonlinearity(self, merge: CapturedLayer) -> str:
        if merge.nonlinearity is None:
            return ""
        return f" after {title(self.graph[merge.nonlinearity])}"

    def _described(self, index: int) -> str:
        node: Node = self.graph[index]
        return f"'{self.names.text(self.names.operator[index])}' ({printed_name(node)})"

    def _check_channel(self, place: Place) -> None:
        address = place.address
        if address.channel is None:
            return
        channels = self.channels(place.node)
        if address.channel >= channels:
            raise NoSuchChannel(
                f"'{address}': there is no channel {address.channel}; {place.key} has {channels} feature maps.",
                f"Ask for a channel from 0 to {channels - 1}.",
            )
        if address.unit is not None:
            check_unit(str(address), address.unit, self.sized.size(place.node))


def check_unit(address: str, unit: Sequence[int], size: Sequence[int]) -> None:
    """Raises: UnitOutOfRange: a feature map of this size has no such unit."""
    words = axis_words(len(size))
    if len(unit) != len(size):
        count = f"{len(unit)} number{'s' * (len(unit) != 1)}"
        form = ",".join(one.cell.upper() for one in words)
        raise UnitOutOfRange(
            f"'{address}': a unit of these feature maps, {sized_words(size)}, has {len(size)} "
            f"number{'s' * (len(size) != 1)}, @{form}; got {count}.",
            f"Write {unit_words([0] * len(size))} for the first, {unit_words([one - 1 for one in size])} for the last.",
        )
    if all(0 <= at < most for at, most in zip(unit, size, strict=True)):
        return
    ranges = [f"a {one.cell} from 0 to {most - 1}" for one, most in zip(words, size, strict=True)]
    raise UnitOutOfRange(
        f"'{address}': there is no unit at {place_words(unit)}; the feature map has {sized_words(size)}.",
        f"Ask for {listed(ranges)}.",
    )


def sized_words(size: Sequence[int]) -> str:
    """The size of a map in words: 3 rows and 4 columns."""
    return listed([f"{count} {one.cells}" for one, count in zip(axis_words(len(size)), size, strict=True)])


def listed(words: Sequence[str]) -> str:
    """Several words with commas, and "and" before the last.

    >>> listed(["a", "b"]), listed(["a", "b", "c"])
    ('a and b', 'a, b and c')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _listed(names: list[str]) -> str:
    """The first names, and the number of further ones."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _made_by(layer: CapturedLayer, node: int) -> str:
    """The stage that a node of the layer holds; z where conv and z are the same value."""
    found = [stage for stage, index in layer.stages.items() if index == node]
    return found[-1] if found else layer.last_stage


def _meant(layer: CapturedLayer) -> str:
    """The stage that a layer's bare name means: its activation, or z where the layer has only this value."""
    return "z" if len(set(layer.stages.values())) == 1 and "a" not in layer.stages else "a"


_WORDS = {
    "relu": "ReLU",
    "silu": "SiLU",
    "gelu": "GELU",
    "relu6": "ReLU6",
    "hardtanh": "Hardtanh",
    "hardswish": "Hardswish",
}
