"""A projection: the signal of a unit, a map or a score, propagated back to the pixels, and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from jaxtyping import Float, Shaped
from PIL import Image
from torch import Tensor

from featmap.errors import SettingError
from featmap.geometry import Box
from featmap.plain_data import PlainData
from featmap.result_array import ArrayResult
from featmap.result_collection import CollectionResult
from featmap.run.backward.roles import Norm, Rule

Start = Literal["value", "one"]
RULES: tuple[str, ...] = get_args(Rule)
_BEFORE_NONLINEARITY = ("conv", "z")


NEGATIVE = "the signal starts from a negative number: what is shown speaks against the target"
NOTHING = "0 everywhere: by this rule nothing of the image reaches the target"


@dataclass(frozen=True)
class ProjectionQuestion:
    """How signals start and flow: the settings that every projection shares."""

    rule: Rule = "deconvnet"
    start: Start = "value"
    norm: Norm = "scale"

    def __post_init__(self) -> None:
        _check("rule", self.rule, RULES)
        _check("start", self.start, ("value", "one"))
        _check("norm", self.norm, ("scale", "skip"))

    def started(self, values: Float[Tensor, "*axes"], stage: str | None) -> Float[Tensor, "*axes"]:
        """The numbers that signals start from at units with these values."""
        starts = values if self.start == "value" else values.new_ones(values.shape)
        # An activation is rectified already; a value before its rectifier is rectified here.
        is_rectified = self.rule != "gradient" and stage in _BEFORE_NONLINEARITY
        return starts.clamp_min(0) if is_rectified else starts


def own_gradient_words(named: Sequence[str]) -> str:
    """A note for a model with gradients of its own; empty where it has none."""
    if not named:
        return ""
    return f"the model gives gradients of its own, here replaced by those of what is computed: {', '.join(named)}"


def _check(name: str, got: str, allowed: Sequence[str]) -> None:
    if got not in allowed:
        raise SettingError(f"{name} '{got}' is unknown; it can be {', '.join(allowed)}.", f"Use {name}={allowed[0]!r}.")


@dataclass(frozen=True, eq=False)
class Projection(ArrayResult):
    """What in one image a unit, a map or a score responds to.

    `values` (channel, row, column), (channel, position) of a signal and (channel, plane, row, column) of a volume, are
    the projection in preprocessed input units on `box`, the input pixels that can
    influence the target; elsewhere it is 0. `field` is that box before it was cut to the image. `value` is the
    target's own value, `started_from` the number that the signal began with, `unit` its row and column.
    `through_gradient` names the nonlinearities on the way that are not rectifiers: under every rule signals pass them
    through their gradient. `own_gradients` names what on the way has a gradient of its own in the model, such as an
    `autograd.Function` with a backward: here it has the gradient of what its forward computes. `picture` is the image
    as the network saw it, None for signals and volumes; `image_values` is what went in.
    """

    image: str
    target: str
    question: ProjectionQuestion
    value: float
    started_from: float
    unit: tuple[int, ...] | None
    values: Float[Tensor, " channel *place"]
    box: Box
    field: Box
    image_size: tuple[int, ...]
    through_gradient: tuple[str, ...]
    weights_source: str
    picture: Image.Image | None = None
    own_gradients: tuple[str, ...] = ()
    image_values: Shaped[Tensor, " channel *image_place"] | None = None

    @property
    def _array(self) -> Tensor:
        return self.values

    def on_image(self) -> Float[Tensor, " channel *image_place"]:
        """The projection on the whole image, 0 outside of its box: (channel, row, column)."""
        whole = self.values.new_zeros((self.values.shape[0], *self.image_size))
        whole[(slice(None), *self.box.slices)] = self.values
        return whole

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value; both 0 on an empty box."""
        return (float(self.values.min()), float(self.values.max())) if self.values.numel() else (0.0, 0.0)

    @property
    def is_zero(self) -> bool:
        """Whether the signal reaches no pixel."""
        return not bool(self.values.any())

    @property
    def sign(self) -> str:
        """The meaning of the start's sign for the values shown."""
        if self.is_zero:
            return NOTHING
        if self.started_from < 0:
            return NEGATIVE
        return "the signal starts from a positive number"

    @property
    def semantics(self) -> dict[str, PlainData]:
        """What was done, in words, so that nothing about a projection has to be guessed."""
        return {
            "rule": self.question.rule,
            "start": self.question.start,
            "norm": self.question.norm,
            "through_gradient": list(self.through_gradient),
            "own_gradients": list(self.own_gradients),
            "sign": self.sign,
            "pools": "values go to the switches; where pools overlap they add up",
        }

    def _data(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "target": self.target,
            "value": self.value,
            "started_from": self.started_from,
            "unit": None if self.unit is None else list(self.unit),
            "box": self.box.as_list(),
            "field": self.field.as_list(),
            "minimum": self.extremes[0],
            "maximum": self.extremes[1],
            "semantics": self.semantics,
            "weights": self.weights_source,
        }

    def __repr__(self) -> str:
        box = self.box
        low, high = self.extremes
        values = NOTHING if self.is_zero else f"values {low:.4g} to {high:.4g}"
        own = f"; {own_gradient_words(self.own_gradients)}" if self.own_gradients else ""
        return (
            f"Projection({self.target} = {self.value:.4g} of {self.image}, {self.question.rule}, on "
            f"{box.words}; {values}; weights: {self.weights_source}{own})"
        )


class Projections(CollectionResult[Projection]):
    """Several projections in order: those of several maps or units on one image, or of one target on several images."""

    parts_name = "projections"


class ProjectionsByImage(CollectionResult[Projections]):
    """The projections of several maps or units on several images: for each image its `Projections`."""

    parts_name = "images"
