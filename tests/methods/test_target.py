"""Targets: a class, a position in any output, a map's activity, one unit; and what is not a target."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import AddressError, FeatmapError, InputError, SettingError
from featmap.geometry import Box
from featmap.methods.occlude import part_of
from featmap.methods.shared.target import Score, predicted, score_of
from featmap.network.address import Address
from support.tiny_modules import conv, written


def traced(forward: Any, **parts: nn.Module) -> Any:
    """The captured network of one forward on images of 3 x 6 x 7."""
    torch.manual_seed(0)
    return fm.trace(written(forward, **parts).double(), (3, 6, 7))._captured


CLASSES = traced(lambda m, x: m.head(m.stem(x).relu().mean((2, 3))), stem=conv(), head=nn.Linear(4, 5))
MAPS = traced(lambda m, x: m.stem(x).relu(), stem=conv())
MANY = traced(
    lambda m, x: {"logits": (y := m.stem(x)).mean((2, 3)), "pair": (y, [y.amax(1), None]), "map's": y * 2}, stem=conv()
)
VALUES = torch.arange(2 * 4 * 6 * 7, dtype=torch.float64).reshape(2, 4, 6, 7)


def read_of(network: Any, found: Score, value: Tensor) -> list[float]:
    """The score of each image, from the target's whole value."""
    return found.read(part_of(value, network, found)).tolist()


@pytest.mark.parametrize("target", [3, "3", " 3 ", np.int64(3), torch.tensor(3)])
def test_classes(target: Any) -> None:
    found = score_of(CLASSES, target)
    assert found is not None
    assert (found.name, found.node, found.box) == ("logit of class 3", CLASSES.graph.outputs[0], None)
    vectors = torch.tensor([[0.0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
    assert found.read(vectors).tolist() == [3, 1]
    found = score_of(CLASSES, target, scale="probability")
    assert found is not None
    assert found.name == "probability of class 3"
    torch.testing.assert_close(found.read(vectors), vectors.softmax(1)[:, 3])


def test_the_predicted_class_is_left_to_the_image() -> None:
    assert score_of(CLASSES, None) is None
    assert predicted(torch.tensor([[0.0, 7, 2]])) == 1
    assert predicted(torch.tensor([[[[0.0]], [[1.0]]]])) == 1


@pytest.mark.parametrize(
    ("forward", "count"),
    [
        (lambda _, x: x.mean((2, 3), keepdim=True), 3),
        (lambda _, x: x.mean((1, 2, 3)), 1),
        (lambda _, x: {"score": x.mean((2, 3))}, 3),
        (lambda _, x: [x.mean((2, 3))[:, :1]], 1),
    ],
)
def test_other_shapes_that_are_one_score_per_class(forward: Any, count: int) -> None:
    network = traced(forward)
    found = score_of(network, count - 1)
    assert found is not None
    assert found.read(torch.arange(2.0 * count).reshape(2, *network.sized.shape(found.node)[1:])).tolist() == [
        count - 1,
        2 * count - 1,
    ]
    with pytest.raises(InputError):
        score_of(network, count)


class Answer(NamedTuple):
    """An output with names."""

    mask: Tensor
    aux: Tensor


@pytest.mark.parametrize(
    ("forward", "first"),
    [
        (lambda m, x: {"mask": m.stem(x), "aux": x}, "['mask'][2,3,3]"),
        (lambda m, x: Answer(m.stem(x), x), "['mask'][2,3,3]"),
        (lambda m, x: [x.mean((2, 3)), (m.stem(x),)], "[0][1]"),
        (lambda m, x: (None, {"deep": [m.stem(x)]}, x), "[1]['deep'][0][2,3,3]"),
        (lambda m, x: {"loss": x.mean(), "mask": m.stem(x)}, "['loss']"),
        (lambda m, x: {"map's": m.stem(x), "aux": x}, '["map\'s"][2,3,3]'),
    ],
)
def test_where_no_class_is_meant_the_example_is_a_place_of_this_output(forward: Any, first: str) -> None:
    network = traced(forward, stem=conv())
    with pytest.raises(InputError) as caught:
        score_of(network, None)
    assert first in caught.value.remedy
    assert first.rpartition("[2,3,3]")[0] in caught.value.problem
    found = score_of(network, first)
    assert found is not None
    assert found.node == next(index for index in network.graph.outputs if index is not None)


@pytest.mark.parametrize("target", [(1, 2, 3), [1, 2, 3], "[1,2,3]", "[1][2][3]", "[1, 2][3]"])
def test_a_place_of_a_map(target: Any) -> None:
    found = score_of(MAPS, target)
    assert found is not None
    assert found.name.startswith("output [1")
    assert found.box == Box(2, 3, 3, 4)
    assert found.read(VALUES[:, :, 2:3, 3:4]).tolist() == VALUES[:, 1, 2, 3].tolist()


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        ("['logits'][3]", "output ['logits'][3]", lambda y: y["logits"][0, 3]),
        ('["logits"][0]', "output ['logits'][0]", lambda y: y["logits"][0, 0]),
        ("['pair'][0][3,1,2]", "output ['pair'][0][3, 1, 2]", lambda y: y["pair"][0][0, 3, 1, 2]),
        ("['pair'][1][0][1,2]", "output ['pair'][1][0][1, 2]", lambda y: y["pair"][1][0][0, 1, 2]),
        ("['pair'][1][0,1,2]", "output ['pair'][1][0, 1, 2]", lambda y: y["pair"][1][0][0, 1, 2]),
        ('["map\'s"][0,5,6]', 'output ["map\'s"][0, 5, 6]', lambda y: y["map's"][0, 0, 5, 6]),
    ],
)
def test_places_of_a_structure(target: str, name: str, value: Any) -> None:
    found = score_of(MANY, target)
    assert found is not None
    assert found.name == name
    outputs = MANY.graph.unflatten(list(MANY.graph.outputs))
    values = {index: torch.rand(MANY.sized.shape(index)) for index in MANY.graph.outputs if index is not None}
    y = {
        "logits": values[outputs["logits"]],
        "pair": (values[outputs["pair"][0]], [values[outputs["pair"][1][0]], None]),
        "map's": values[outputs["map's"]],
    }
    given: Tensor = values[found.node]
    if found.box is not None:
        rows, columns = (2, 3) if given.ndim == 4 else (1, 2)
        given = given.narrow(rows, found.box.top, 1).narrow(columns, found.box.left, 1)
    assert found.read(given).tolist() == [float(value(y))]


@pytest.mark.parametrize(("activity", "reduce"), [("maximum", torch.amax), ("mean", torch.mean), ("sum", torch.sum)])
def test_maps(activity: Any, reduce: Any) -> None:
    found = score_of(MAPS, "stem:z/2", activity=activity)
    assert found is not None
    assert (found.name, found.box, found.channel) == (f"{activity} of stem:z/2", None, 2)
    assert read_of(MAPS, found, VALUES) == reduce(VALUES[:, 2], dim=(1, 2)).tolist()


@pytest.mark.parametrize("target", ["stem/2@4,5", "stem:a/2@4,5", Address("stem", None, None, 2, (4, 5))])
def test_units(target: Any) -> None:
    found = score_of(MAPS, target)
    assert found is not None
    assert (found.name, found.box, found.is_unit) == ("stem:a/2@4,5", Box(4, 5, 5, 6), True)
    assert read_of(MAPS, found, VALUES) == VALUES[:, 2, 4, 5].tolist()


def test_units_of_maps_whose_channels_come_last_or_in_several_axes() -> None:
    network = traced(
        lambda m, x: (y := m.stem(x).permute(0, 2, 3, 1).relu(), y.unflatten(3, (2, 2)).sigmoid()), stem=conv()
    )
    values = VALUES.permute(0, 2, 3, 1)
    last, several = (network.resolver.describe(index) for index in network.graph.outputs)
    found = score_of(network, f"{last}/2@4,5")
    assert found is not None
    assert read_of(network, found, values) == VALUES[:, 2, 4, 5].tolist()
    found = score_of(network, f"{several}/3", activity="sum")
    assert found is not None
    assert read_of(network, found, values.unflatten(3, (2, 2))) == VALUES[:, 3].sum((1, 2)).tolist()


def test_values_without_rows_and_columns_have_maps_of_one_value() -> None:
    found = score_of(CLASSES, "head:z/2")
    assert found is not None
    assert read_of(CLASSES, found, torch.arange(10.0).reshape(2, 5)) == [2, 7]


NO_VECTOR = (
    "Written does not return one score per class; its output has shape {0}.\n\nName a position in the output, such as "
    "{1}, or a map or unit by its address."
)
NO_PLACE = "Give one index per axis, each below the size of its axis."


@pytest.mark.parametrize(
    ("network", "asked", "kind", "text"),
    [
        (CLASSES, {"target": 5}, InputError, "There is no class 5; Written has 5.\n\nAsk for a class from 0 to 4."),
        (CLASSES, {"target": -1}, InputError, "There is no class -1; Written has 5.\n\nAsk for a class from 0 to 4."),
        (CLASSES, {"target": "-1"}, InputError, "There is no class -1; Written has 5.\n\nAsk for a class from 0 to 4."),
        (
            CLASSES,
            {"target": True},
            InputError,
            "A target of True is not a class.\n\nGive a class index, an output index or an address.",
        ),
        (MAPS, {"target": 0}, InputError, NO_VECTOR.format("1x4x6x7", "'[2,3,3]'")),
        (MAPS, {"target": None}, InputError, NO_VECTOR.format("1x4x6x7", "'[2,3,3]'")),
        (
            MANY,
            {"target": 0},
            InputError,
            NO_VECTOR.format(
                "['logits'] 1x4, ['pair'][0] 1x4x6x7, ['pair'][1][0] 1x6x7, ['pair'][1][1] nothing, "
                '["map\'s"] 1x4x6x7',
                "\"['logits'][2]\"",
            ),
        ),
        (
            CLASSES,
            {"target": "[5]"},
            InputError,
            f"output [5] does not exist: that tensor is 5 (without the image axis).\n\n{NO_PLACE}",
        ),
        (
            MAPS,
            {"target": "[1,2]"},
            InputError,
            f"output [1, 2] does not exist: that tensor is 4 x 6 x 7 (without the image axis).\n\n{NO_PLACE}",
        ),
        (
            MAPS,
            {"target": (1, 2, -1)},
            InputError,
            f"output [1, 2, -1] does not exist: that tensor is 4 x 6 x 7 (without the image axis).\n\n{NO_PLACE}",
        ),
        (
            MANY,
            {"target": "['scores'][1]"},
            InputError,
            "The output of Written has no part 'scores'.\n\nIts parts are ['logits', 'pair', \"map's\"].",
        ),
        (
            MANY,
            {"target": "['pair'][2][1]"},
            InputError,
            "The output of Written has no part 2.\n\nIts parts are 0 to 1.",
        ),
        (
            MANY,
            {"target": "['pair'][1][1]"},
            InputError,
            "The index ['pair', (1,), (1,)] does not lead to a tensor of the output.\n\nGo on to one of its tensors.",
        ),
        (
            MANY,
            {"target": "['pair']"},
            InputError,
            "The index ['pair'] does not lead to a tensor of the output.\n\nGo on to one of its tensors.",
        ),
        (
            MAPS,
            {"target": "[1,2"},
            InputError,
            "'[1,2' is not a position in an output.\n\nWrite indices in brackets: '[3,10,12]' or \"['logits'][0][3]\".",
        ),
        (
            MAPS,
            {"target": "stem"},
            AddressError,
            "'stem:a' names a whole layer, not one feature map.\n\nName one: LAYER/CHANNEL.",
        ),
        (
            MAPS,
            {"target": "stem/4"},
            AddressError,
            "'stem:a/4': there is no channel 4; stem:a has 4 feature maps.\n\nAsk for a channel from 0 to 3.",
        ),
        (
            MAPS,
            {"target": "stem/0@6,0"},
            AddressError,
            "'stem:a/0@6,0': there is no unit at row 6, column 0; the feature map has 6 rows and 7 columns.\n\n"
            "Ask for a row from 0 to 5 and a column from 0 to 6.",
        ),
        (
            MAPS,
            {"target": "sten/0"},
            AddressError,
            "'sten/0': the network has no layer 'sten'.\n\n"
            "The nearest names are stem. `featmap plan` lists all layers.",
        ),
        (
            CLASSES,
            {"target": 1, "scale": "percent"},
            SettingError,
            "scale 'percent' is unknown; it can be logit, probability.\n\nUse scale='logit'.",
        ),
        (
            MAPS,
            {"target": "stem/0", "activity": "median"},
            SettingError,
            "activity 'median' is unknown; it can be maximum, mean, sum.\n\nUse activity='maximum'.",
        ),
        (
            CLASSES,
            {"target": 1, "activity": "mean"},
            SettingError,
            "activity 'mean' does not apply to this target: a class has one score.\n\nLeave activity out.",
        ),
        (
            MAPS,
            {"target": "stem/0@1,1", "activity": "sum"},
            SettingError,
            "activity 'sum' does not apply to this target: a unit is one number.\n\nLeave activity out.",
        ),
        (
            MAPS,
            {"target": "stem/0", "scale": "probability"},
            SettingError,
            "scale 'probability' does not apply to this target: only the scores of classes become probabilities.\n\n"
            "Leave scale out.",
        ),
    ],
)
def test_targets_that_are_refused(network: Any, asked: dict[str, Any], kind: type[FeatmapError], text: str) -> None:
    with pytest.raises(kind) as raised:
        score_of(network, **asked)
    assert str(raised.value) == text
