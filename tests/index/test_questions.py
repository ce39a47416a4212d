"""Every question on an index against the oracle, and every refusal in full."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import (
    FeatmapError,
    ImageBroken,
    InputError,
    NoIndex,
    NoSuchChannel,
    NoSuchImage,
    NotKept,
    OtherIndex,
    SettingError,
)
from featmap.index.questions.audit import FailOn
from featmap.result import Result
from featmap.testing.index_oracle import IndexOracle, pearson
from featmap.view.formats.table import FORMATS
from support.index_equality import stages_of
from support.tiny_modules import conv

SHAPE = (3, 8, 7)
LABELS = ("cat", "dog", "", "cat", "owl", "dog", "cat", "", "dog", "owl", "cat", "cat")
BOUNDED = (-math.inf, 6.0)
UNBOUNDED = (-math.inf, math.inf)


def images() -> torch.Tensor:
    """Twelve, of which two come twice, so that maps have ties."""
    drawn = torch.randn(12, *SHAPE, generator=torch.Generator().manual_seed(7))
    drawn[5], drawn[11] = drawn[3], drawn[0]
    return drawn


def module() -> nn.Sequential:
    """Maps of every kind: 0 dead, 2 the double of 1, 3 its opposite, 4 nearly dead, 5 constant and saturated."""
    torch.manual_seed(5)
    first = conv(3, 8)
    made = nn.Sequential(first, nn.ReLU6(), conv(8, 4), nn.Flatten(), nn.Linear(4 * 56, 3)).double().eval()
    with torch.no_grad():
        first.weight[0], first.bias[0] = 0, -0.3
        first.weight[2], first.bias[2] = 2 * first.weight[1], 0.1
        first.weight[3] = -first.weight[1]
        first.weight[5], first.bias[5] = 0, 100
        strongest = first(images().double())[:, 4].amax((1, 2)).sort().values
        first.bias[4] -= (strongest[-1] + strongest[-2]) / 2
    return made


@dataclass(frozen=True)
class Case:
    net: fm.Network
    index: fm.Index
    oracle: IndexOracle


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    net = fm.trace(module(), SHAPE)
    pairs = list(zip(images(), LABELS, strict=True))
    settings: dict[str, Any] = {"layers": stages_of(net), "correlation": "all", "top_k": 5, "block": 5}
    index = fm.Index.build(net, pairs, tmp_path_factory.mktemp("case") / "i.fmi", progress=False, **settings)
    return Case(net, index, IndexOracle.of(net._captured, images(), stages_of(net), LABELS))


def refusal(kind: type[FeatmapError], ask: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(kind) as error:
        ask(*args, **named)
    assert type(error.value) is kind
    return str(error.value)


def assert_hands_over(result: Result, rows: int | None) -> None:
    """Plain data that JSON can hold, a table of so many rows, and a text."""
    assert json.loads(FORMATS[".json"].encode(result.to_dict())) == json.loads(json.dumps(result.to_dict()))
    assert str(result)
    if rows is not None:
        assert len(result.to_pandas()) == rows  # type: ignore[attr-defined]


CHOICES: dict[str, tuple[dict[str, Any], set[int]]] = {
    "all": ({}, set(range(12))),
    "one label": ({"label": "cat"}, {0, 3, 6, 10, 11}),
    "two labels": ({"label": ["owl", "dog"]}, {1, 4, 5, 8, 9}),
    "a slice": ({"subset": slice(2, 9)}, set(range(2, 9))),
    "a slice backwards": ({"subset": slice(None, None, -1)}, set(range(12))),
    "numbers": ({"subset": [11, 3, 5, 3, 0]}, {0, 3, 5, 11}),
    "numbers of numpy": ({"subset": np.array([4, 2])}, {2, 4}),
    "names": ({"subset": ["image 10", "image 2"]}, {2, 10}),
    "a pattern": ({"subset": "image ?"}, set(range(10))),
    "a pattern and a label": ({"subset": "image 1*", "label": "cat"}, {10, 11}),
    "none of them": ({"subset": slice(3, 3)}, set()),
}


@pytest.mark.parametrize("k", [1, 4, 5])
@pytest.mark.parametrize("name", CHOICES)
def test_top_is_the_strongest_of_the_chosen(case: Case, name: str, k: int) -> None:
    filters, chosen = CHOICES[name]
    for address in ("0:a", "0:z", "4:z"):
        for channel in range(case.oracle.maps[address].shape[1]):
            found = case.index.top(f"{address}/{channel}", k, **filters)
            expected = case.oracle.strongest(address, channel, k, chosen)
            assert [example.number for example in found.examples] == expected
            assert found.images == len(chosen)
            assert_examples(case, found, address, channel)
            assert_hands_over(found, len(expected))


def assert_examples(case: Case, found: Any, address: str, channel: int) -> None:
    """Value, unit, box, name and label of every example."""
    size = case.oracle.maps[address].shape[2:]
    for example in found.examples:
        assert example.value == case.oracle.maximum(address)[example.number, channel]
        place = int(case.oracle.place(address)[example.number, channel])
        assert example.unit == (place // size[1], place % size[1])
        row, column = example.unit
        assert example.box == case.net.receptive_field(f"{address}/{channel}@{row},{column}").box
        assert example.field.clip(8, 7) == example.box
        assert (example.image, example.label) == (f"image {example.number}", LABELS[example.number])
        assert example.to_dict()["label"] == (LABELS[example.number] or None)


def test_top_within_bounds_of_the_value(case: Case) -> None:
    maxima = case.oracle.maximum("2:z")[:, 1].astype(float)
    for least, most in ((0.5, None), (None, 1.5), (0.5, 1.5), (maxima[3], None), (None, maxima[3]), (1e300, None)):
        within = [n for n in range(12) if (least is None or maxima[n] >= least) and (most is None or maxima[n] <= most)]
        found = case.index.top("2:z/1", 99, least=least, most=most)
        assert [example.number for example in found.examples] == case.oracle.strongest("2:z", 1, 99, within)
        assert found.images == len(within)


def test_a_bound_is_not_rounded_to_the_values_digits(case: Case) -> None:
    value = case.index.top("2:z/1", 1).examples[0].value
    assert case.index.top("2:z/1", least=value).images == 1
    assert case.index.top("2:z/1", least=value * (1 + 1e-10)).images == 0
    assert case.index.top("2:z/1", most=value * (1 - 1e-10)).images < 12


def test_what_is_chosen_is_said(case: Case) -> None:
    found = case.index.top("0:a/1", 2, label=["cat", "owl"], subset="image *", least=0.5, most=9)
    assert found.chosen == "label cat or owl, names like image *, value from 0.5 up to 9"
    assert case.index.top("0:a/1", 2, subset=[1, 2]).chosen == "a subset"
    assert case.index.top("0:a/1", 2).to_dict()["chosen"] == "all"


def test_top_sheet_is_top_of_every_map(case: Case) -> None:
    sheet = case.index.top_sheet("0", k=3, label="dog")
    assert [each.address for each in sheet.maps] == [f"0:a/{channel}" for channel in range(8)]
    for channel, each in enumerate(sheet.maps):
        assert each.to_dict() == case.index.top(f"0:a/{channel}", 3, label="dog").to_dict()
    assert [each.address for each in case.index.top_sheet("0:z", [6, 1], 2).maps] == ["0:z/6", "0:z/1"]
    assert_hands_over(sheet, 24)


def test_what_top_refuses(case: Case) -> None:
    top = case.index.top
    path = case.index.path
    assert refusal(NotKept, top, "0:a/1", 6) == (
        f"k is 6; '{path}' keeps the 5 strongest images of each map.\n\n"
        "Ask for at most 5, or build the index with top_k=6 (--top-k 6). With a filter, such as least=0 (--least 0), "
        "the table of all images is searched, for any k."
    )
    assert refusal(SettingError, top, "0:a/1", least=2, most=1) == (
        "least is 2, most is 1: no value is within.\n\nGive the smaller one as least."
    )
    for wrong in ("a", float("nan")):
        assert refusal(SettingError, top, "0:a/1", most=wrong) == f"most is {wrong!r}.\n\nGive a number."
    assert refusal(SettingError, top, "0:a/1", label=3) == "label is 3.\n\nGive a label, or a list of labels."
    assert (len(top("0:a/1").examples), len(top("0:a/1", least=-9).examples)) == (5, 9)
    assert refusal(SettingError, top, "0:a/1", 0) == ("k is 0.\n\nAsk for a whole number of images, at least one.")
    assert refusal(SettingError, top, "0:a/1", 2.5) == "k is 2.5.\n\nAsk for a whole number of images, at least one."
    assert refusal(NotKept, top, "0:a/1", label="cta") == (
        "No image has the label 'cta'.\n\nThere are cat, dog, owl. The nearest names are cat."
    )
    assert refusal(NoSuchImage, top, "0:a/1", subset=["image 3", "image 99"]) == (
        f"There is no image 'image 99' in '{path}'.\n\n`index.names()` lists all."
    )
    assert refusal(NotKept, top, "0:a/1", subset=[3, 12]) == (
        f"There is no image 12; '{path}' has 12.\n\nImages are counted from 0."
    )
    assert refusal(NotKept, top, "0:a/1", subset=[-1]) == (
        f"There is no image -1; '{path}' has 12.\n\nImages are counted from 0."
    )
    for wrong, words in ((5, "5"), ([0.5], "[0.5]"), ([True, False], "[True, False]")):
        assert refusal(SettingError, top, "0:a/1", subset=wrong) == (
            f"The subset {words} is not a list of images.\n\nGive numbers, names, a slice or a pattern."
        )
    assert refusal(NotKept, top, "0:a/1", subset="photo*") == (
        f"No image of '{path}' has a name like 'photo*'.\n\n"
        "`*` stands for anything, `?` for one sign; names are those that `featmap index show INDEX --names` lists."
    )
    assert refusal(NotKept, top, "0:a/1", subset="image [12]").startswith(f"No image of '{path}' has a name like")


def test_layers_and_maps_that_are_not_there(case: Case, tmp_path: Path) -> None:
    assert refusal(NoSuchChannel, case.index.top, "0:a/8") == (
        "'0:a/8': there is no channel 8; 0:a has 8 feature maps.\n\nAsk for a channel from 0 to 7."
    )
    assert refusal(NoSuchChannel, case.index.top, "0:a") == (
        "'0:a' names no map of its own.\n\nAsk for a map: 0:a/0 to 0:a/7."
    )
    assert refusal(NoSuchChannel, case.index.top, "0:a/1@2,3") == (
        "'0:a/1@2,3' is one unit.\n\nAsk for a map: 0:a/0 to 0:a/7."
    )
    assert refusal(NoSuchChannel, case.index.top_sheet, "0", [2, 9]) == (
        "'0:a/9': there is no channel 9; 0:a has 8 feature maps.\n\nAsk for a channel from 0 to 7."
    )
    assert refusal(NoSuchChannel, case.index.top_sheet, "0", []) == "No map is asked for.\n\nAsk for 0 to 7."
    assert refusal(NotKept, case.index.top, "1:a/0") == (
        "'1:a' is not indexed.\n\nIndexed are 0:conv, 0:z, 0:a, 2:conv, 2:z, 4:conv, 4:z. The nearest names are 0:a."
    )
    other = fm.Index.build(case.net, images()[:2], tmp_path / "z.fmi", layers=["0:z"], progress=False)
    assert refusal(NotKept, other.top, "0:a/0") == "'0:a' is not indexed; of that layer 0:z is.\n\nAsk for 0:z."
    assert other.top("0/1", 1).address == "0:z/1"


def test_audit_names_the_maps_of_every_kind(case: Case) -> None:
    for settings in (
        {},
        {"nearly_dead": 0.5, "saturated": 0.05, "redundant": 0.3},
        {"redundant": 1.0},
        {"redundant": 0},
    ):
        audit = case.index.audit(**settings)
        for layer in audit.layers:
            bounds = BOUNDED if layer.address == "0:a" else UNBOUNDED
            texts = {name: str(settings[name]) for name in ("nearly_dead", "saturated") if name in settings}
            expected = case.oracle.kinds(layer.address, bounds, **texts, rectified=layer.address == "0:a")
            assert {kind: list(getattr(layer, kind)) for kind in expected} == expected
            assert layer.sparsity == pytest.approx(case.oracle.sparsity(layer.address), abs=1e-12)
            least = max(settings.get("redundant", 0.95) - 1e-9, 1e-9)
            pairs = case.oracle.redundant(layer.address, least)
            assert layer.redundant_pairs is not None
            assert {pair[:2] for pair in layer.redundant_pairs} == set(pairs)
            for one, other, correlation in layer.redundant_pairs:
                assert correlation == pytest.approx(pairs[one, other], abs=1e-6)
            strength = [round(abs(pair[2]), 9) for pair in layer.redundant_pairs]
            assert strength == sorted(strength, reverse=True)
        assert_hands_over(audit, 7)


def test_audit_finds_what_was_built_in(case: Case) -> None:
    layers = {layer.address: layer for layer in case.index.audit(nearly_dead=0.1).layers}
    rectified, raw = layers["0:a"], layers["0:z"]
    assert (rectified.dead, rectified.nearly_dead) == ((0,), (4,))
    assert (rectified.constant, rectified.saturated) == ((5,), (5,))
    assert (raw.rectified, raw.dead, raw.nearly_dead, raw.never_positive) == (False, (), (), (0,))
    assert (raw.constant, raw.saturated) == ((0, 5), ())
    assert [(pair[0], pair[1], round(pair[2], 6)) for pair in raw.redundant_pairs or ()] == [
        (1, 2, 1.0),
        (1, 3, -1.0),
        (2, 3, -1.0),
    ]
    assert not layers["2:z"].sees_beyond_input
    totals = case.index.audit(nearly_dead=0.1).totals
    assert totals["maps"] == 8 * 3 + 4 * 2 + 3 * 2
    assert totals["dead"] == 1
    sparsity = sum(case.oracle.sparsity(name) * layer.maps for name, layer in layers.items()) / totals["maps"]
    assert totals["sparsity"] == pytest.approx(sparsity, abs=1e-12)


@pytest.mark.parametrize(("count", "share"), [(7, 0.07), (14, 0.14), (28, 0.28), (29, 0.29), (57, 0.57), (58, 0.58)])
def test_a_share_that_is_met_exactly_is_met(tmp_path: Path, count: int, share: float) -> None:
    """Of 100 images so many excite the only map, and in so many it is at its bound: 0.07 * 100 is above 7."""
    net = fm.trace(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU6()), (1, 1, 1))
    with torch.no_grad():
        net._captured.tensors["0.weight"].fill_(1)
    values = torch.full((100, 1, 1, 1), -1.0)
    values[:count] = 7
    index = fm.Index.build(net, values, tmp_path / "i.fmi", progress=False)
    (layer,) = index.audit(nearly_dead=share, saturated=share).layers
    assert (layer.nearly_dead, layer.saturated) == ((), (0,))
    (layer,) = index.audit(nearly_dead=share + 0.001, saturated=share + 0.001).layers
    assert (layer.nearly_dead, layer.saturated) == ((0,), ())


@pytest.mark.parametrize("count", [1, 7, 14, 28, 29, 57])
def test_bounds_of_an_audit_are_exact(tmp_path: Path, count: int) -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(1, 100, 1), nn.ReLU()), (1, 1, 1))
    with torch.no_grad():
        net._captured.tensors["0.weight"].zero_()
        net._captured.tensors["0.bias"].fill_(1)[:count] = -1
    audit = fm.Index.build(net, torch.zeros(3, 1, 1, 1), tmp_path / "i.fmi", progress=False).audit()
    assert FailOn.parse(f"dead>{count}%").broken_by(audit) == ""
    assert FailOn.parse(f"dead<{count}%").broken_by(audit) == ""
    assert FailOn.parse(f"dead>={count}%").broken_by(audit) == f"dead>={count}%: dead is {count}%"
    assert FailOn.parse(f"dead<={count}").broken_by(audit) == f"dead<={count}: dead is {count}"
    assert FailOn.parse(f"sparsity>{count}%").broken_by(audit) == ""
    assert FailOn.parse(f"sparsity>0.{count:02}").broken_by(audit) == ""
    assert FailOn.parse(f" sparsity >= {count}.0 % ").broken_by(audit).endswith(f": sparsity is {count}%")
    assert FailOn.parse(f"dead>{count - 0.1:.1f}%").broken_by(audit)
    assert FailOn.parse(f"dead<{count + 0.1:.1f}%").broken_by(audit)


def test_bounds_that_an_audit_does_not_know(case: Case, tmp_path: Path) -> None:
    names = "dead, nearly_dead, constant, saturated, sparsity, redundant_pairs, beyond_input"
    for wrong in ("dead", "dead>", "dead>5%%", "dead==5", "ded>5%", "dead>-1", "dead>1.2.3", "dead>.", "", "5%<dead"):
        assert refusal(SettingError, FailOn.parse, wrong) == (
            f"'{wrong}' is not a bound of an audit.\n\n"
            f"Write NAME>NUMBER or NAME>NUMBER%, such as dead>5%; NAME is one of {names}, and >= < <= compare too."
        )
    for text, most in (("dead>500%", 100), ("sparsity>30", 1), ("sparsity<130%", 100)):
        assert refusal(SettingError, FailOn.parse, text).startswith(f"'{text}': no share is above {most}.")
    assert refusal(SettingError, FailOn.parse, "redundant_pairs>5%") == (
        "'redundant_pairs>5%': redundant_pairs is a number, no share of the maps.\n\nWrite redundant_pairs>0."
    )
    plain = fm.Index.build(case.net, images()[:2], tmp_path / "i.fmi", correlation="none", progress=False)
    assert refusal(NotKept, FailOn.parse("redundant_pairs>0").broken_by, plain.audit()) == (
        f"'redundant_pairs>0': '{plain.path}' keeps no correlations.\n\nBuild the index with correlation='auto'."
    )
    assert plain.audit().totals["redundant_pairs"] is None
    assert_hands_over(plain.audit(), 3)
    assert refusal(SettingError, case.index.audit, redundant="x").startswith("redundant is 'x'.")
    assert refusal(SettingError, case.index.audit, redundant=1.5) == ("redundant is 1.5.\n\nGive a number from 0 to 1.")


@pytest.mark.parametrize("by", ["maximum", "mean"])
@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", ["all", "two labels", "a slice backwards", "numbers"])
def test_similar_images_are_the_nearest(case: Case, by: Any, measure: Any, name: str) -> None:
    filters, chosen = CHOICES[name]
    for address in ("0:a", "2:z"):
        for number in (0, 3, 8):
            found = case.index.similar(number, address, 4, by=by, measure=measure, **filters)
            query = case.oracle.vector(address, by)[number]
            distances = case.oracle.distances(address, query, by, measure)
            # Digits that depend on the order of a sum do not decide which comes first.
            order = sorted(chosen - {number}, key=lambda n: (round(distances[n], 9), n))[:4]
            assert [each.number for each in found.nearest] == order
            assert [each.distance for each in found.nearest] == pytest.approx(distances[order].tolist(), abs=1e-4)
            assert all(each.distance >= 0 for each in found.nearest)
            assert found.images == len(chosen - {number})
            assert_hands_over(found, len(order))
            named = case.index.similar(f"image {number}", address, 4, by=by, measure=measure, **filters)
            assert named.to_dict() == found.to_dict()


def test_a_picture_is_compared_as_if_it_were_in_the_index(case: Case) -> None:
    for number in (2, 9):
        found = case.index.similar(images()[number], "2:z", 12, net=case.net)
        assert (found.nearest[0].number, found.nearest[0].distance) == (number, pytest.approx(0, abs=1e-9))
        inside = case.index.similar(number, "2:z", 12)
        rest = [each for each in found.nearest if each.number != number]
        assert [each.number for each in rest] == [each.number for each in inside.nearest]
    assert case.index.similar(np.int64(3), "2:z").image == "image 3"


def test_an_image_that_excites_nothing_has_no_direction(tmp_path: Path) -> None:
    net = fm.trace(nn.Sequential(conv(3, 4), nn.ReLU()), SHAPE)
    with torch.no_grad():
        net._captured.tensors["0.bias"].zero_()
    drawn = images()[:5]
    drawn[1], drawn[3] = 0, 0
    index = fm.Index.build(net, drawn, tmp_path / "i.fmi", progress=False)
    from_nothing = index.similar(1, "0")
    assert [each.number for each in from_nothing.nearest] == [0, 2, 3, 4]
    assert {each.distance for each in from_nothing.nearest} == {1.0}
    assert [each.distance for each in index.similar(0, "0").nearest if each.number in (1, 3)] == [1.0, 1.0]
    assert index.similar(1, "0", 1, measure="euclidean").nearest[0].distance == 0
    assert_hands_over(from_nothing, 4)


def test_what_similar_refuses(case: Case, tmp_path: Path) -> None:
    similar, path = case.index.similar, case.index.path
    assert refusal(NotKept, similar, 12, "0") == f"There is no image 12; '{path}' has 12.\n\nImages are counted from 0."
    assert refusal(NotKept, similar, -1, "0") == f"There is no image -1; '{path}' has 12.\n\nImages are counted from 0."
    assert refusal(NoSuchImage, similar, "cat.png", "0") == (
        f"There is no image 'cat.png' in '{path}'.\n\n"
        "`index.names()` lists all names; for another picture, give the network too (net=...)."
    )
    assert refusal(InputError, similar, 1.5, "0") == (
        f"A float is not an image of '{path}'.\n\nGive a number or a name; for another picture, give the network too "
        "(net=...)."
    )
    assert refusal(SettingError, similar, 1, "0", by="median") == "by is 'median'.\n\nIt is one of maximum, mean."
    assert refusal(SettingError, similar, 1, "0", measure="l1") == "measure is 'l1'.\n\nIt is one of cosine, euclidean."
    assert refusal(SettingError, similar, 1, "0/3") == (
        "'0/3' is one map; images are compared by all of a layer.\n\nAsk by 0:a."
    )
    assert refusal(SettingError, similar, 1, "0", True).startswith("k is True.")
    assert refusal(SettingError, similar, 1, "0", 0) == "k is 0.\n\nAsk for a whole number of images, at least one."
    assert refusal(InputError, similar, images()[:2], "0", net=case.net) == (
        "2 images were given; one is compared with the others.\n\nGive one image."
    )
    assert refusal(ImageBroken, similar, torch.zeros(1, 3, 9, 9), "0", net=case.net) == (
        "'image 0' gives an input of 3x9x9; the index is of 3x8x7.\n\nGive another image."
    )
    huge = torch.full((1, *SHAPE), 1e300, dtype=torch.float64)
    assert refusal(ImageBroken, similar, huge, "0:conv", net=case.net) == (
        "'image 0' gives values that are no numbers in 0:conv.\n\nGive another image."
    )
    plain = fm.Index.build(case.net, images()[:2], tmp_path / "i.fmi", table=False, progress=False)
    for ask, what in (
        (lambda: plain.similar(0, "0"), "this question"),
        (lambda: plain.top("0/1", 1, label="cat"), "a filter"),
        (lambda: plain.selectivity("0"), "selectivity"),
        (lambda: plain.compare(case.index), "a comparison"),
        (lambda: case.index.compare(plain), "a comparison"),
    ):
        assert refusal(NotKept, ask) == (
            f"'{plain.path}' keeps no table of its images; {what} needs one.\n\nBuild it with table=True (--table)."
        )
    assert "With a filter" not in refusal(NotKept, plain.top, "0/1", 500)


def test_distribution_is_that_of_all_values(case: Case) -> None:
    for address in ("0:a", "2:z", "4:z"):
        for channel in range(case.oracle.maps[address].shape[1]):
            found = case.index.distribution(f"{address}/{channel}", bins=7)
            values = case.oracle.values(address, channel)
            assert (found.images, found.values) == (12, values.size)
            assert (found.minimum, found.maximum) == (values.min(), values.max())
            scale = np.ptp(values) + 1e-12
            assert found.mean == pytest.approx(values.mean(), abs=1e-5 * scale)
            assert found.deviation == pytest.approx(values.std(), rel=1e-4, abs=1e-5 * scale)
            assert found.fraction_positive == (values > 0).mean()
            assert found.positive_images == (values > 0).any(axis=1).sum()
            expected = {"99": "0.99", "99.5": "0.995", "99.9": "0.999"}
            true = {name: case.oracle.quantile(address, channel, share) for name, share in expected.items()}
            assert found.quantiles == true
            maxima = case.oracle.maximum(address)[:, channel].astype(np.float64)
            assert found.counts == tuple(np.histogram(maxima, bins=7)[0])
            assert found.edges == tuple(np.histogram(maxima, bins=7)[1])
            assert sum(found.counts) == 12
            assert_hands_over(found, 7)
    assert refusal(SettingError, case.index.distribution, "0/1", 0) == (
        "bins is 0.\n\nAsk for a whole number of bins, at least one."
    )


def test_quantiles_that_are_not_kept_are_not_known(case: Case, tmp_path: Path) -> None:
    index = fm.Index.build(case.net, images(), tmp_path / "i.fmi", quantile_bytes=370, table=False, progress=False)
    found = index.distribution("0:a/1")
    true = [case.oracle.quantile("0:a", 1, share) for share in ("0.99", "0.995", "0.999")]
    # The small layers took most of it. Of 672 values the quantiles are the 7th largest, the 4th and the largest.
    assert index.description.layers[0].tail == 4
    assert list(found.quantiles.values()) == [None, *true[1:]]
    assert (found.edges, found.counts) == (None, None)
    assert_hands_over(found, 0)


@pytest.mark.parametrize("by", ["maximum", "mean"])
def test_selectivity_is_that_of_the_definition(case: Case, by: Any) -> None:
    for address in ("0:a", "0:z", "2:z"):
        found = case.index.selectivity(address, by)
        assert found.images == {"cat": 5, "dog": 3, "owl": 2}
        for channel, each in enumerate(found.maps):
            label, best, rest, index = case.oracle.selectivity(address, channel, by)
            assert (each.address, each.label) == (f"{address}/{channel}", label)
            assert (each.best, each.rest) == (pytest.approx(best, rel=1e-5), pytest.approx(rest, rel=1e-5))
            assert each.selectivity == (None if index is None else pytest.approx(index, abs=1e-5))
            alone = case.index.selectivity(f"{address}/{channel}", by)
            assert alone.maps == (each,)
        assert_hands_over(found, len(found.maps))
        assert any(each.selectivity is None for each in found.maps) == (address != "0:a")
    dead = case.index.selectivity("0:a/0").maps[0]
    assert (dead.selectivity, dead.best, dead.rest) == (0.0, 0.0, 0.0)


def test_a_map_of_one_label_alone_is_selective_in_full(tmp_path: Path) -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), (1, 1, 1))
    with torch.no_grad():
        net._captured.tensors["0.weight"].fill_(1)
        net._captured.tensors["0.bias"].zero_()
    values = [1e8, 1e8, -1.0, -2.0, 0.0]
    pairs = [(torch.full((1, 1, 1), v), label) for v, label in zip(values, "aabbc", strict=True)]
    assert fm.Index.build(net, pairs, tmp_path / "i.fmi", progress=False).selectivity("0/0").maps[0].selectivity == 1
    pairs[2] = (torch.full((1, 1, 1), 1e-9), "b")
    found = fm.Index.build(net, pairs, tmp_path / "j.fmi", progress=False).selectivity("0/0").maps[0]
    # The small sum is not lost beside the large one.
    assert found.rest == pytest.approx(1e-9 / 3)


def test_selectivity_needs_labels(case: Case, tmp_path: Path) -> None:
    index = fm.Index.build(case.net, images()[:3], tmp_path / "i.fmi", progress=False)
    assert refusal(NotKept, index.selectivity, "0") == (
        f"The images of '{index.path}' have 0 labels; selectivity needs at least 2.\n\n"
        "Build it from a folder with a folder per label, or from a list with labels."
    )


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A later checkpoint, over the same images in another order, without one and with another one."""
    changed = module()
    with torch.no_grad():
        changed[0].bias[1], changed[0].bias[0] = -1000, 0.5
        changed[0].weight[6] = 0.2 * torch.randn(
            3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
    net = fm.trace(changed, SHAPE)
    given = torch.cat([images()[1:].flip(0), torch.ones(1, *SHAPE)])
    settings: dict[str, Any] = {"layers": ["2:z", "0:a", "4:conv"], "block": 4}
    index = fm.Index.build(net, given, tmp_path_factory.mktemp("later") / "i.fmi", progress=False, **settings)
    return Case(net, index, IndexOracle.of(net._captured, given, ["2:z", "0:a", "4:conv"]))


@pytest.mark.parametrize("threshold", [0.9, -1.0, 1.0])
def test_comparison_pairs_the_same_images(case: Case, later: Case, threshold: float) -> None:
    found = case.index.compare(later.index, threshold)
    # Image 11 is image 0 again, 5 is 3: by what they hold they are one, and one picture of each is compared.
    ours = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    theirs = [11 - n for n in (11, 1, 2, 5, 4, 6, 7, 8, 9, 10)]
    assert found.images == len(ours)
    assert [layer.address for layer in found.layers] == ["0:a", "2:z", "4:conv"]
    assert (found.only_before, found.only_after) == (("0:conv", "0:z", "2:conv", "4:z"), ())
    for layer in found.layers:
        before = [case.oracle.maps[layer.address][ours], case.oracle.maximum(layer.address)[ours]]
        after = [later.oracle.maps[layer.address][theirs], later.oracle.maximum(layer.address)[theirs]]
        alive = [(side[0] > 0).any(axis=(0, 2, 3)) | (layer.address != "0:a") for side in (before, after)]
        assert layer.died == tuple(np.flatnonzero(alive[0] & ~alive[1]))
        assert layer.revived == tuple(np.flatnonzero(~alive[0] & alive[1]))
        expected = [pearson(before[1][:, channel], after[1][:, channel]) for channel in range(layer.maps)]
        for correlation, true in zip(layer.correlation, expected, strict=True):
            assert correlation == (None if true is None else pytest.approx(true, abs=1e-6))
        varies = [np.ptp(side[1], axis=0) > 0 for side in (before, after)]
        less = np.array([true is not None and true < threshold - 1e-9 for true in expected])
        assert layer.changed == tuple(np.flatnonzero(alive[0] & alive[1] & (less | (varies[0] != varies[1]))))
        for mean, side in ((layer.mean_before, before), (layer.mean_after, after)):
            true = side[0].astype(np.float64).mean(axis=(0, 2, 3))
            assert mean == pytest.approx(true.tolist(), rel=1e-4, abs=1e-5)
    assert_hands_over(found, 8 + 4 + 3)


def test_comparison_finds_what_was_changed(case: Case, later: Case) -> None:
    layers = {layer.address: layer for layer in case.index.compare(later.index.path).layers}
    assert (layers["0:a"].died, layers["0:a"].revived) == ((1,), (0,))
    assert 6 in layers["0:a"].changed
    assert 7 not in layers["0:a"].changed
    assert layers["0:a"].correlation[7] == pytest.approx(1)
    assert layers["0:a"].correlation[5] is None


def test_an_index_is_unchanged_compared_with_itself(case: Case) -> None:
    for layer in case.index.compare(case.index).layers:
        assert (layer.died, layer.revived, layer.changed) == ((), (), ())
        assert layer.mean_before == layer.mean_after
        assert all(value is None or value == pytest.approx(1) for value in layer.correlation)
        assert all(value is None or value <= 1 for value in layer.correlation)


def test_small_variations_about_a_large_mean_are_compared(tmp_path: Path) -> None:
    """Relative to their mean both vary by a hundred-thousandth, of which float32 still holds two digits."""
    indexes: list[fm.Index] = []
    for name, sign in (("a", 1.0), ("b", -1.0)):
        net = fm.trace(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()).double(), (1, 1, 1))
        with torch.no_grad():
            net._captured.tensors["0.weight"].fill_(sign)
            net._captured.tensors["0.bias"].fill_(1000)
        values = torch.linspace(0, 0.02, 20).reshape(20, 1, 1, 1)
        indexes.append(fm.Index.build(net, values, tmp_path / name, progress=False))
    (layer,) = indexes[0].compare(indexes[1]).layers
    assert layer.correlation == (pytest.approx(-1, abs=1e-3),)
    assert layer.changed == (0,)


def test_what_cannot_be_compared(case: Case, tmp_path: Path) -> None:
    other = fm.Index.build(case.net, torch.ones(1, *SHAPE), tmp_path / "i.fmi", progress=False)
    assert refusal(OtherIndex, case.index.compare, other) == (
        f"'{case.index.path}' and '{other.path}' have no image in common.\n\nBuild both over the same images."
    )
    net = fm.trace(nn.Sequential(conv(3, 5), nn.ReLU()), SHAPE)
    other = fm.Index.build(net, images(), tmp_path / "j.fmi", progress=False)
    assert refusal(OtherIndex, case.index.compare, other) == (
        f"'{case.index.path}' and '{other.path}' have no layer in common.\n\nCompare two indexes of the same network."
    )
    assert refusal(SettingError, case.index.compare, other, 2) == (
        "changed_below is 2.\n\nGive a correlation, from -1 to 1."
    )


def test_the_summary(case: Case) -> None:
    found = case.index.summary()
    assert (found.images, found.blocks, found.skipped) == (12, 3, ())
    assert found.labels == {"cat": 5, "dog": 3, "owl": 2}
    assert found.names == tuple(f"image {number}" for number in range(10))
    assert_hands_over(found, None)
    assert len(case.index) == case.index.images == 12
    assert list(case.index.layers) == stages_of(case.net)


def test_an_image_that_a_later_build_could_read_is_not_skipped_any_more(tmp_path: Path) -> None:
    from PIL import Image

    net = fm.trace(nn.Sequential(conv(3, 4), nn.ReLU()), SHAPE)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(b"no picture")
    Image.new("RGB", (7, 8), "red").save(tmp_path / "a.png")
    path = tmp_path / "i.fmi"
    index = fm.Index.build(net, tmp_path, path, progress=False)
    assert [name for name, _ in index.summary().skipped] == ["b.png", "c.png"]
    Image.new("RGB", (7, 8), "blue").save(tmp_path / "b.png")
    assert fm.Index.build(net, tmp_path, path, progress=False).images == 1
    index = fm.Index.build(net, tmp_path, path, retry=True, progress=False)
    assert index.images == 2
    assert index.summary().skipped == (("c.png", "'c.png' is not an image that featmap can read."),)


def test_an_index_without_images_answers_nothing_wrong(tmp_path: Path) -> None:
    net = fm.trace(nn.Sequential(conv(3, 4), nn.ReLU()), SHAPE)
    index = fm.Index.build(net, [torch.full(SHAPE, torch.nan)], tmp_path / "i.fmi", progress=False)
    assert index.images == 0
    words = f"'{index.path}' holds no image yet.\n\nBuild it with images that can be read."
    assert refusal(NotKept, index.audit) == refusal(NotKept, index.distribution, "0/1") == words
    assert refusal(NotKept, index.top, "0/1") == refusal(NotKept, index.top, "0/1", least=0) == words
    assert_hands_over(index.summary(), None)


def test_paths_that_hold_no_index(case: Case, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(4):
        (tmp_path / "notes" / f"{number}.txt").write_text("x")
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    build = "Build one: featmap index build MODEL IMAGES -o"
    for name, problem, remedy in (
        ("missing", f"There is no index '{tmp_path / 'missing'}'.", f"{build} {tmp_path / 'missing'}."),
        ("file.txt", f"'{tmp_path / 'file.txt'}' is a file, no index.", "An index is a folder; give its path."),
        ("notes", f"'{tmp_path / 'notes'}' is not an index.", f"{build} {tmp_path / 'notes'}."),
    ):
        assert refusal(NoIndex, fm.Index.open, tmp_path / name) == f"{problem}\n\n{remedy}"
    assert refusal(NoIndex, fm.Index.build, case.net, images(), tmp_path / "notes", progress=False) == (
        f"The folder '{tmp_path / 'notes'}' exists and is not an index: it holds 0.txt, 1.txt, 2.txt and more.\n\n"
        "Choose another path."
    )
    assert refusal(NoIndex, fm.Index.build, case.net, images(), tmp_path / "file.txt", progress=False) == (
        f"'{tmp_path / 'file.txt'}' exists and is not an index.\n\nChoose another path."
    )
    assert refusal(InputError, fm.Index.build, case.net, tmp_path / "empty", tmp_path / "new", progress=False) == (
        f"There is no image in '{tmp_path / 'empty'}'.\n\nGive a folder, a list or a tar file with images."
    )
    assert not (tmp_path / "new").exists()
    assert len(list((tmp_path / "notes").iterdir())) == 4


def test_an_index_of_something_else_is_not_built_on(case: Case) -> None:
    path, kept = case.index.path, case.index.description
    changed = module()
    with torch.no_grad():
        changed[0].bias[7] += 1
    net = fm.trace(changed, SHAPE)
    from featmap.index.schema.fingerprint import network_fingerprint, preprocessing_fingerprint

    ours = network_fingerprint(net._captured)
    assert refusal(OtherIndex, fm.Index.build, net, images(), path, progress=False) == (
        f"'{path}' is the index of another network: its fingerprint is {kept.network} (Sequential, weights: the "
        f"module's own), that of Sequential (weights: the module's own) is {ours}.\n\n"
        "Give the network that it was built with, its weights too (--weights), or build into another path."
    )
    assert refusal(OtherIndex, case.index.similar, images()[0], "0", net=net).startswith(f"'{path}' is the index of")
    net = fm.trace(module(), SHAPE, preprocessing=fm.Preprocessing(mean=(0.5,), std=(0.25,)))
    ours = preprocessing_fingerprint(net._captured)
    assert refusal(OtherIndex, fm.Index.build, net, images(), path, progress=False) == (
        f"'{path}' was built with another preprocessing: {kept.preprocessing} (stretch to 8x7 (bilinear), values "
        f"/ 255); now it is {ours} (values / 255, mean (0.5), std (0.25)).\n\n"
        "Give the preprocessing that it was built with, or build into another path."
    )
    assert refusal(OtherIndex, fm.Index.build, case.net, images(), path, top_k=7, table=False, progress=False) == (
        f"'{path}' keeps something else: top_k is 5, not 7; table is True, not False.\n\n"
        "Leave these settings out, and the index goes on with its own; or build into another path."
    )
    assert refusal(
        OtherIndex, fm.Index.build, case.net, images(), path, layers=["0:a", "1"], progress=False
    ).startswith(f"'{path}' keeps something else: layers: it has no 1:a and it has 0:conv, 0:z, 2:conv, 2:z too.")
    assert case.index.images == 12


def test_equal_images_are_equally_far(tmp_path: Path) -> None:
    """And so the earlier one comes first."""
    torch.manual_seed(0)
    pictures = torch.randn(23, 2, 6, 6)
    pictures[22] = pictures[21] = pictures[1]
    net = fm.trace(nn.Sequential(nn.Conv2d(2, 70, 1)).double(), (2, 6, 6))
    index = fm.Index.build(net, pictures, tmp_path / "i.fmi", progress=False)
    for number in range(23):
        nearest = index.similar(number, "0", 23).nearest
        equal = [each for each in nearest if each.number in (1, 21, 22)]
        assert [each.number for each in equal] == sorted(each.number for each in equal)
        assert len({each.distance for each in equal}) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_maps_at_a_bound_that_their_numbers_cannot_reach(tmp_path: Path, dtype: torch.dtype) -> None:
    layer = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Hardtanh(-0.7, 0.7))
    with torch.no_grad():
        layer[0].weight.zero_()
        layer[0].bias.copy_(torch.tensor([9.0, -9.0]))
    net = fm.trace(layer.to(dtype), inputs=torch.zeros(1, 1, 4, 4, dtype=dtype))
    index = fm.Index.build(net, torch.randn(3, 1, 4, 4).to(dtype), tmp_path / "i.fmi", progress=False)
    assert index.audit().layers[0].saturated == (0, 1)
