"""The public face: every function and method reads alike, returns one type, and says in its signature what it takes."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, get_args, is_typeddict

import pytest
import torch

import featmap as fm
from contracts.test_results import result_types
from support.results import CONTRACT, SHAPE, images, network

OWNERS: tuple[type, ...] = (fm.Network, fm.Index, fm.Layer, fm.Preprocessing)
FUNCTIONS = (fm.load, fm.trace, fm.register_engine, fm.register_format, fm.register_operator)
Face = tuple[str, Callable[..., Any]]


def face() -> Iterator[Face]:
    """Every public function, and every public method and property of what users hold, by name."""
    for function in FUNCTIONS:
        yield f"fm.{function.__name__}", function
    for owner in (*OWNERS, *sorted(result_types(), key=lambda kind: kind.__name__)):
        for name, member in inspect.getmembers(owner):
            method = member.fget if isinstance(member, property) else member
            # Of what Python's own base classes bring, nothing is ours.
            if not name.startswith("_") and inspect.isfunction(method) and method.__module__.startswith("featmap"):
                yield f"{owner.__name__}.{name}", method


FACE = dict(face())
QUESTIONS = {name: method for name, method in FACE.items() if name.split(".")[0] in ("fm", "Network", "Index", "Layer")}


def signatures(method: Callable[..., Any]) -> list[Signature]:
    """What type checkers see: the overloads where there are some."""
    return [inspect.signature(each) for each in typing.get_overloads(method) or [method]]


def parameters(method: Callable[..., Any]) -> dict[str, Parameter]:
    return {name: each for name, each in inspect.signature(method).parameters.items() if name != "self"}


def test_the_face_is_whole() -> None:
    assert {getattr(fm, name) for name in fm.__all__ if callable(getattr(fm, name))} == {*OWNERS, *FUNCTIONS}
    assert len(FACE) > 120
    assert {"Network.occlude", "Network.project", "Index.top", "Plan.to_pandas", "Audit.totals"} <= FACE.keys()


@pytest.mark.parametrize("name", FACE)
def test_no_signature_says_any(name: str) -> None:
    for signature in signatures(FACE[name]):
        assert signature.return_annotation is not Signature.empty, "it does not say what it returns"
        said = [signature.return_annotation]
        for each in signature.parameters.values():
            if each.name != "self":
                # What checks shapes in a test run stands in front of the method, and says nothing itself.
                assert each.annotation is not Parameter.empty or hasattr(FACE[name], "__wrapped__"), each.name
                said.append(each.annotation)
        # Shapes are checked in a test run: their annotations are the types themselves then, with arrays of any type.
        for annotation in (each for each in said if isinstance(each, str)):
            assert not re.search(r"\bAny\b", str(annotation)), annotation


@pytest.mark.parametrize("name", FACE)
def test_keywords_that_stand_together_say_no_any(name: str) -> None:
    """The keywords of `**options` are those of a typed dictionary."""
    method = FACE[name]
    kept = [each for each in inspect.signature(method).parameters.values() if each.kind is Parameter.VAR_KEYWORD]
    for each in kept:
        (kind,) = get_args(eval(str(each.annotation), vars(sys.modules[method.__module__])))
        assert is_typeddict(kind)
        for base in kind.__mro__ if hasattr(kind, "__mro__") else [kind]:
            for annotation in getattr(base, "__annotations__", {}).values():
                assert "Any" not in str(annotation)


@pytest.mark.parametrize("name", FACE)
def test_what_is_returned_is_one_type(name: str) -> None:
    """A type, or None where there is nothing to say; never one of several."""
    for signature in signatures(FACE[name]):
        parts = re.sub(r"\[.*\]", "", str(signature.return_annotation)).split(" | ")
        assert len([part for part in parts if part != "None"]) <= 1, signature.return_annotation


OVERLOADED = [name for name, method in FACE.items() if typing.get_overloads(method)]


def test_overloads_differ_from_their_method_in_types_alone() -> None:
    assert {"Network.occlude", "Network.project"} <= set(OVERLOADED)
    for name in OVERLOADED:
        whole = inspect.signature(FACE[name]).parameters
        for signature in signatures(FACE[name]):
            assert list(signature.parameters) == list(whole), name
            for each in signature.parameters.values():
                assert each.kind == whole[each.name].kind
                # One type of target among the overloads is required: without a target there is one.
                assert each.default in (whole[each.name].default, Parameter.empty), each.name


OTHER_DEFAULTS = {
    # As many as were kept, which only the index knows.
    "k": {"Index.top", "Index.top_sheet"},
    # Without a rule that fits one kind of numbers alone: maxima say how near, means which label.
    "by": {"Index.selectivity"},
    # Without a preference: all layers, or the one that is asked about.
    "address": set[str](),
}
OTHER_TYPES = {
    # A number or a name in the index, too.
    "image": {"Index.similar", "Network.occlude", "Network.project"},
    # Several units and maps are projected together.
    "target": {"Network.project"},
    # A sheet without images says why it needs them.
    "images": {"Network.sheet"},
}


def test_one_name_means_one_type_and_one_default() -> None:
    defaults: dict[str, dict[object, str]] = {}
    types: dict[str, dict[str, str]] = {}
    for name, method in QUESTIONS.items():
        for each in parameters(method).values():
            if each.kind is Parameter.VAR_KEYWORD:
                continue
            if name not in OTHER_TYPES.get(each.name, ()):
                known = types.setdefault(each.name, {})
                known[str(each.annotation).removesuffix(" | None")] = name
            if each.default is not Parameter.empty and name not in OTHER_DEFAULTS.get(each.name, ()):
                defaults.setdefault(each.name, {})[each.default] = name
    assert {key: found for key, found in types.items() if len(found) > 1} == {}
    assert {key: found for key, found in defaults.items() if len(found) > 1} == {}


def test_arguments_stand_in_one_order() -> None:
    """No method has two arguments in the order in which another has them reversed."""
    after: dict[str, set[str]] = {}
    for method in QUESTIONS.values():
        names = [each.name for each in parameters(method).values() if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
        for at, name in enumerate(names):
            after.setdefault(name, set()).update(names[:at])
    try:
        list(TopologicalSorter(after).static_order())
    except CycleError as error:
        pytest.fail(f"in two orders: {error.args[1]}")


def test_flags_are_given_by_keyword() -> None:
    for name, method in QUESTIONS.items():
        for each in parameters(method).values():
            if each.annotation == "bool":
                assert each.kind is Parameter.KEYWORD_ONLY or name in ("fm.load",), f"{name}: {each.name}"


def written(method: Callable[..., Any], owner: str) -> str:
    """A call as the reference prints it: names and defaults, keywords behind a star."""
    found: list[str] = []
    has_star = False
    for each in parameters(method).values():
        if each.kind is Parameter.KEYWORD_ONLY and not has_star:
            found.append("*")
            has_star = True
        if each.kind is Parameter.VAR_KEYWORD:
            found.append("**options")
        else:
            value = f'"{each.default}"' if isinstance(each.default, str) else repr(each.default)
            found.append(each.name if each.default is Parameter.empty else f"{each.name}={value}")
    return f"{owner}.{method.__name__}({', '.join(found)})"


PRINTED = {"fm": "fm", "Network": "net", "Index": "index", "Layer": "layer"}


@pytest.mark.parametrize("name", [name for name, method in QUESTIONS.items() if "register" not in name])
def test_the_reference_prints_every_call_as_it_is(name: str) -> None:
    method, owner = QUESTIONS[name], name.split(".")[0]
    text = (Path(fm.__file__).parents[2] / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    holder = "fm.Index" if name in ("Index.open", "Index.build") else PRINTED[owner]
    is_property = isinstance(inspect.getattr_static(getattr(fm, owner, None), method.__name__, None), property)
    shown = f"{holder}.{method.__name__}" if is_property else written(method, holder)
    assert f"`{shown}`" in text, shown


def test_defaults_of_an_occlusion_and_its_cost_mean_the_same() -> None:
    net, image = network(), images(1)
    predicted = int(net.occlude(image, window=4, stride=4).target.split()[-1])
    assert net.occlusion_cost(window=4, stride=4).layers == net.occlusion_cost(predicted, window=4, stride=4).layers


ONE, TWO = images(1), images(2)
ASKED: dict[str, tuple[Any, Any, str]] = {
    "one image, one unit": (ONE, "0:a/1@2,3", "Projection"),
    "one image, a list of one": (ONE, ["0:a/1@2,3"], "Projections"),
    "one image, a layer": (ONE, "0:a", "Projections"),
    "one image, several maps": (ONE, ["0:a/1", "0:a/2"], "Projections"),
    "one image, a place in the output": (ONE, (1,), "Projection"),
    "several images, the predicted class": (TWO, None, "Projections"),
    "a list of one image, one map": ([ONE[0]], "0:a/1", "Projections"),
    "several images, several maps": (TWO, ["0:a/1", "0:a/2"], "ProjectionsByImage"),
    "a list of one image, a layer": ([ONE[0]], "0:a", "ProjectionsByImage"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_several_are_a_collection_by_image_and_then_by_target(asked: str) -> None:
    given, target, kind = ASKED[asked]
    net = network()
    found = net.project(given, target, "gradient")
    assert type(found).__name__ == kind
    if kind == "ProjectionsByImage" or target is None:
        assert len(found) == len(given)
        for at, image in enumerate(given):
            assert str(found[at].to_json()).replace(f"image {at}", "image 0") == str(
                net.project(image, target, "gradient").to_json()
            )


def test_several_occlusions_are_those_of_each_image() -> None:
    net = network()
    found = net.occlude(TWO, 1, 4, 4)
    assert (type(found).__name__, len(found)) == ("OcclusionMaps", 2)
    for at, image in enumerate(TWO):
        alone = net.occlude(image, 1, 4, 4)
        assert (found[at].grid == alone.grid).all()
        assert found[at].score == alone.score
    assert type(net.occlude([ONE[0]], 1, 4, 4)).__name__ == "OcclusionMaps"
    assert type(net.occlude(ONE, 1, 4, 4)).__name__ == "OcclusionMap"
    assert [part.image for part in found[:1]] == ["image 0"]


def test_every_result_of_a_question_is_in_the_contract() -> None:
    for name, method in QUESTIONS.items():
        for signature in signatures(method):
            kind = str(signature.return_annotation)
            if name.split(".")[0] in ("Network", "Index", "Layer") and kind[0].isupper():
                assert kind.split(" | ")[0] in {*CONTRACT, *(owner.__name__ for owner in OWNERS), "Description"}, name


def test_options_of_a_picture_that_a_result_does_not_take_are_refused() -> None:
    with pytest.raises(TypeError, match="colours"):
        network().maps(torch.zeros(1, *SHAPE), "0").show(colours="effect")
