"""Projections: the signal of a unit, a map or a class, propagated back to the pixels.

Deconvnet after Zeiler and Fergus (2014), guided backpropagation after Springenberg et al. (2015), and the gradient. The
rules act on operators, so functional, reused and in-place rectifiers count like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeAlias

import torch
from jaxtyping import Shaped
from PIL import Image
from torch import Tensor

from featmap.errors import AddressError, InputError, NoGradient, SettingError
from featmap.geometry import Box
from featmap.geometry.place import place_of
from featmap.graph.receptive.fields import receptive_fields
from featmap.graph.receptive.unit_box import unit_box
from featmap.images.inputs import Inputs
from featmap.images.listing import Images
from featmap.methods.shared.class_names import class_named
from featmap.methods.shared.projection import Projection, ProjectionQuestion
from featmap.methods.shared.target import Target, class_score, named_map, named_unit, predicted, score_of
from featmap.network.address import Address
from featmap.network.differing import note_differences
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_numbers_apart
from featmap.network.resolve import Place
from featmap.run.backward.reach import cuts, reached_by_signals
from featmap.run.backward.signal import Signal
from featmap.run.backward.whole_numbers import has_gradient
from featmap.run.batches import Progress
from featmap.run.execution import Execution
from featmap.run.magnitudes import directions, is_complex, measured
from featmap.run.occlusion import narrowed
from featmap.run.projection import Projector, Unit, on_box

SeveralTargets: TypeAlias = "list[str] | list[Address] | tuple[str | Address, ...]"
ProjectionTarget: TypeAlias = "Target | SeveralTargets"


def project(
    network: CapturedNetwork,
    images: Images,
    target: ProjectionTarget,
    question: ProjectionQuestion,
    *,
    whole: bool = False,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> list[list[Projection]]:
    """For every image the projections of a target; see `featmap.Network.project`."""
    dtype = execution.dtype if execution is not None else None
    if dtype is not None and not dtype.is_floating_point:
        raise SettingError(f"dtype {dtype} has no fractions.", "Compute in torch.float32 or torch.float64.")
    check_shows_images(network, "Projections")
    # All are read first: where the last of them is damaged, that is said before the first is computed.
    every = list(Inputs(network, images))
    of_size: dict[tuple[int, ...], Asked] = {}
    found: list[list[Projection]] = []
    for number, batch in enumerate(every):
        shape = tuple(batch.values.shape[1:])
        if shape not in of_size:
            of_size[shape] = Asked(network.at(shape), question, execution or Execution())
        with random_numbers_apart():
            found.append(of_size[shape].projections(batch.values[0].detach(), batch.names[0], target, whole=whole))
        if progress is not None:
            progress(number + 1, len(every))
    return found


def names_several(network: CapturedNetwork, target: ProjectionTarget) -> bool:
    """Whether a target is several maps or units: a list of addresses, or a layer, which means all of its maps."""
    if isinstance(target, list | tuple):
        return any(isinstance(part, str | Address) for part in target)
    if isinstance(target, str | Address) and _is_address(target) and class_named(network, target) is None:
        return network.place(target).address.channel is None
    return False


def check_shows_images(network: CapturedNetwork, what: str) -> None:
    """Raises: InputError: what is led back to the network's input would be no picture."""
    if not network.takes_images:
        raise InputError(
            f"{network.name} takes no images.",
            f"{what} show what in an image a unit responds to; ask a network of pictures, signals or volumes.",
        )
    if is_complex(network.sized, network.graph.image_input):
        raise InputError(
            f"{network.name} takes images of complex numbers, onto which nothing is projected.",
            f"{what} are pictures of real pixels; occlusions take complex images too: occlude.",
        )


class Asked:
    """One question to a network, for images of one size."""

    def __init__(self, network: CapturedNetwork, question: ProjectionQuestion, execution: Execution) -> None:
        self.network = network
        self.question = question
        self.execution = execution
        self._projectors: dict[int, Projector] = {}
        self._shown: tuple[Tensor, Image.Image | None] | None = None

    def projector(self, node: int) -> Projector:
        """The projector from a value to the image; made once."""
        if node not in self._projectors:
            question, execution = self.question, self.execution
            self._check_gradient(node)
            note_differences(self.network, [node])
            self._projectors[node] = Projector(
                self.network,
                node,
                question.rule,
                question.norm,
                dtype=execution.dtype,
                device=execution.device,
                memory_bytes=execution.memory_bytes,
            )
        return self._projectors[node]

    def _check_gradient(self, node: int) -> None:
        """Raises: NoGradient: the model gives no gradient from a value to the image, as torch says of it."""
        sized = self.network.sized
        if sized.graph.image_input in reached_by_signals(sized, node):
            return
        name = self.network.resolver.describe(node)
        self._check_depends(node, name)
        ends = [self.network.resolver.describe(index) for index in cuts(sized, node)]
        where = f": it ends at {', '.join(ends[:3])}" if ends else ""
        raise NoGradient(
            f"The model gives no gradient from '{name}' to the image{where}.",
            "Where that is by torch.no_grad, torch.inference_mode or detach, take it off the forward and trace again, "
            "or ask for a value before it. Occlusions need no gradient: occlude.",
        )

    def _check_depends(self, node: int, name: str) -> None:
        """Raises: NoGradient: the value is made without the image, whatever gradients there are."""
        graph = self.network.graph
        if node in graph.made_of_image:
            return
        image = str(graph[graph.image_input].args[0])
        made_of = graph.ancestors((node,))
        others = [str(graph[index].args[0]) for index in graph.inputs if index in made_of]
        if not others:
            raise NoGradient(
                f"'{name}' depends on no input of the model: it is the same for every image.",
                "Ask for a value that is made of the image.",
            )
        listed = " and ".join(f"'{other}'" for other in others)
        raise NoGradient(
            f"'{name}' depends on the input{'s' * (len(others) > 1)} {listed} alone; the image is the input '{image}'.",
            f"Ask for a value that is made of '{image}'; or wrap the model so that it takes '{others[0]}' first: the "
            "first input with four axes counts as the image.",
        )

    def projections(
        self, image: Shaped[Tensor, "*axes"], name: str, target: ProjectionTarget, *, whole: bool
    ) -> list[Projection]:
        """The projections of a target on one image."""
        places = self._places(target)
        if places is None:
            if whole:
                raise SettingError("whole is for maps; a score has no positions.", "Leave whole out.")
            return [self._of_score(image, name, target)]
        if whole:
            return [self._of_map(image, name, place) for place in places]
        return self.of_units(image, name, places)

    def _places(self, target: ProjectionTarget) -> list[Place] | None:
        """The maps and units of one layer that a target names; None where it is a score."""
        addresses: list[Any] = [target]
        if isinstance(target, list | tuple):
            addresses = list(target)
            if addresses and not any(isinstance(part, str | Address) for part in addresses):
                return None
            if not addresses or not all(isinstance(part, str | Address) for part in addresses):
                problem = f"{target!r} is not a list of units and maps."
                raise InputError(problem, "A list holds addresses of one layer; ask for a class by its number alone.")
        elif not _is_address(target) or class_named(self.network, target) is not None:
            return None
        places = [place for address in addresses for place in self._maps_named(address)]
        if len({place.node for place in places}) != 1:
            keys = ", ".join(dict.fromkeys(place.key for place in places))
            raise AddressError(f"{keys}: units of one layer are projected together.", "Ask for each layer by itself.")
        return places

    def _maps_named(self, text: str | Address) -> list[Place]:
        """The unit or map of an address; every map, where it names a layer."""
        place = self.network.place(text)
        if place.address.channel is not None:
            return [place]
        channels = range(self.network.resolver.channels(place.node))
        return [replace(place, address=replace(place.address, channel=channel)) for channel in channels]

    def of_units(self, image: Shaped[Tensor, "*axes"], name: str, places: Sequence[Place]) -> list[Projection]:
        """The projections of units of one layer; of a map its strongest unit."""
        projector = self.projector(places[0].node)
        forward = projector.forward(image, _hull(places))
        named = [self._with_unit(place, projector, forward) for place in places]
        units = [self._unit(place, projector, forward) for place in named]
        found: list[Projection] = []
        for part, signal in projector.units(forward, units):
            for at, unit in enumerate(part):
                place = named[len(found)]
                value = projector.value(forward, unit.channel, unit.place)
                found.append(self._of_unit(image, name, place, unit, value, signal, at))
        return found

    def _with_unit(self, place: Place, projector: Projector, forward: Any) -> Place:
        if place.address.unit is not None:
            return place
        assert place.address.channel is not None
        strongest = measured(projector.maps(forward)[place.address.channel])
        return replace(place, address=replace(place.address, unit=place_of(int(strongest.argmax()), strongest.shape)))

    def _unit(self, place: Place, projector: Projector, forward: Any) -> Unit:
        address = place.address
        assert address.channel is not None
        assert address.unit is not None
        where = (address.channel, address.unit)
        value = torch.tensor(projector.value(forward, *where), dtype=torch.float64)
        return Unit(*where, float(self.question.started(value, address.stage)), projector.direction(forward, *where))

    def _of_unit(
        self,
        image: Shaped[Tensor, "*axes"],
        name: str,
        place: Place,
        unit: Unit,
        value: float,
        signal: Signal,
        at: int,
    ) -> Projection:
        box, field = self.boxes(place.node, unit)
        values = on_box(signal, at, box)
        target = named_unit(self.network, place.node, str(place.address))
        return self._made(image, name, target, place.node, value, unit.start, unit.place, values, box, field)

    def boxes(self, node: int, unit: Unit) -> tuple[Box, Box]:
        """The input pixels that can influence a unit, cut to the image and uncut."""
        sized = self.network.sized
        box = unit_box(sized, node, unit.place, unit.channel).box
        field = receptive_fields(sized)[node]
        uncut = field.uncut_box(unit.place)
        # Behind a concatenation some channels see less than the layer's field.
        return box, uncut if uncut is not None and uncut.clip(*sized.image_size) == box else box

    def _of_map(self, image: Shaped[Tensor, "*axes"], name: str, place: Place) -> Projection:
        """All positions of a map at once, each with its value."""
        address = place.address
        if address.unit is not None:
            raise SettingError(f"whole is for maps; '{address}' is one unit.", "Leave whole out, or the unit.")
        projector, channel = self.projector(place.node), address.channel
        forward = projector.forward(image)
        own = projector.maps(forward)
        values, start = measured(own[channel]), torch.zeros_like(own)
        start[channel] = (self.question.started(values, address.stage) * directions(own[channel])).to(start.dtype)
        strongest = float(values.max())
        began = strongest if self.question.start == "value" else 1.0
        signal = projector.from_maps(forward, start)
        target = f"all of {named_map(self.network, place.node, str(address))}"
        return self._on_whole_image(image, name, target, place.node, strongest, began, signal)

    def _of_score(self, image: Shaped[Tensor, "*axes"], name: str, target: Any) -> Projection:
        asked = score_of(self.network, target)
        # The predicted class is read from the same value as any other class.
        projector = self.projector((asked or class_score(self.network, 0, "logit")).node)
        forward = projector.forward(image)
        score = asked or class_score(self.network, predicted(forward.whole(projector.node)), "logit")
        with torch.inference_mode(False), torch.enable_grad():
            output: Tensor = forward.whole(score.node).detach().clone()
            # Of an image's whole numbers the signals are those of the same numbers as real ones.
            output = output if has_gradient(output.dtype) else output.to(projector.engine.program.signal_dtype)
            output.requires_grad_()
            read = output if score.box is None else narrowed(self.network.sized, score.node, output, score.box)
            value = score.read(read)[0]
            (start,) = torch.autograd.grad(value, output)
        number = float(value.detach())
        began = number if self.question.start == "value" else 1.0
        signal = projector.from_value(forward, start * began)
        return self._on_whole_image(image, name, score.name, score.node, number, began, signal)

    def _on_whole_image(
        self,
        image: Shaped[Tensor, "*axes"],
        name: str,
        target: str,
        node: int,
        value: float,
        began: float,
        signal: Signal,
    ) -> Projection:
        box = Box.full(self.network.sized.image_size)
        return self._made(image, name, target, node, value, began, None, on_box(signal, 0, box), box, box)

    def _picture(self, image: Shaped[Tensor, "*axes"]) -> Image.Image | None:
        """The image as the network sees it, made once for all its projections."""
        if self._shown is None or self._shown[0] is not image:
            self._shown = image, self.network.shown(image)
        return self._shown[1]

    def _made(
        self,
        image: Shaped[Tensor, "*axes"],
        name: str,
        target: str,
        node: int,
        value: float,
        began: float,
        unit: tuple[int, ...] | None,
        values: Shaped[Tensor, " channel *place"],
        box: Box,
        field: Box,
    ) -> Projection:
        return Projection(
            image=name,
            target=target,
            question=self.question,
            value=value,
            started_from=began,
            unit=unit,
            values=values,
            box=box,
            field=field,
            image_size=self.network.sized.image_size,
            through_gradient=self.projector(node).engine.through_gradient,
            weights_source=self.network.weights_source,
            picture=self._picture(image),
            image_values=image.reshape(-1, *self.network.sized.image_size).cpu(),
            own_gradients=self.projector(node).engine.own_gradients,
        )


def _is_address(target: Any) -> bool:
    """Whether a target is written as an address, not as a class or a position in the output."""
    if isinstance(target, Address):
        return True
    text = target.strip() if isinstance(target, str) else ""
    return bool(text) and not text.startswith("[") and not text.lstrip("-").isdigit()


def _hull(places: Sequence[Place]) -> Box | None:
    """The box of the named units; None where a map's strongest unit has to be found first."""
    units = [place.address.unit for place in places]
    if any(unit is None for unit in units):
        return None
    return reduce(Box.hull, [Box.at(unit) for unit in units if unit is not None])
