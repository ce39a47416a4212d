"""Names of classes: read from lists, dictionaries, files and the zoo; what does not fit is refused in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import ClassesMismatch

NAMES = ("ant", "bee", "cat")
ONE_EACH = "Give one name for each score, in their order."
FORMS = "Give a list of names, a dictionary of names by number, or a file: a name a line, or JSON of either."


def module(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, classes)).eval()


def named(classes: Any, count: int = 3) -> tuple[str, ...] | None:
    return fm.trace(module(count), (3, 6, 6), classes=classes).classes


@pytest.mark.parametrize(
    "given",
    [
        list(NAMES),
        NAMES,
        {0: "ant", 1: "bee", 2: "cat"},
        {2: "cat", 0: "ant", 1: "bee"},
        {"0": "ant", "2": "cat", "1": "bee"},
        {"cat": 2, "ant": 0, "bee": 1},
        [" ant", "bee ", "cat\n"],
    ],
)
def test_names_in_every_form(given: Any, tmp_path: Path) -> None:
    assert named(given) == NAMES
    (tmp_path / "names.json").write_text(json.dumps(given))
    assert named(tmp_path / "names.json") == NAMES
    assert named(str(tmp_path / "names.json")) == NAMES


@pytest.mark.parametrize(
    "text", ["ant\nbee\ncat", "ant\nbee\ncat\n", "ant\r\nbee\r\ncat\r\n\n", "\ufeffant\n bee\ncat"]
)
def test_a_name_a_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(text.encode())
    assert named(tmp_path / "names.txt") == NAMES


def test_without_names_there_are_none() -> None:
    assert fm.trace(module(), (3, 6, 6)).classes is None


def test_names_stay_at_another_size_and_where_the_model_is_captured_again() -> None:
    class Sized(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :, : x.shape[2] // 2].mean((2, 3))

    net = fm.trace(Sized(), (3, 6, 6), classes=NAMES)
    found = net.occlude(torch.rand(1, 3, 10, 8), 2, 4, 4)
    assert found.target == "logit of class 2 (cat)"


TEXTS: dict[str, tuple[str, str]] = {
    "ant\nbee\n": (
        "{path} names 2 classes; Sequential returns 3 scores.",
        ONE_EACH,
    ),
    "ant\n\ncat\n": ("{path}: class 1 has no name.", FORMS),
    "ant\ncat\nant\n": (
        "{path} gives the same name to several classes: 'ant' (0, 2).",
        "Tell them apart, as in 'ant 0' and 'ant 2'.",
    ),
    "": ("{path} names 0 classes; Sequential returns 3 scores.", ONE_EACH),
}


@pytest.mark.parametrize("text", TEXTS)
def test_files_that_do_not_fit(text: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text)
    problem, remedy = TEXTS[text]
    assert refusal(path) == f"{problem.format(path=repr(str(path)))}\n\n{remedy}"


GIVEN: list[tuple[Any, str, str]] = [
    (["ant", 7, "cat"], "classes: class 1 is 7, not a name.", FORMS),
    (["ant", None, "cat"], "classes: class 1 has no name.", FORMS),
    (7, "classes is a int, not names of classes.", FORMS),
    (b"ant", "classes is a bytes, not names of classes.", FORMS),
    (
        {0: "ant", 1: "bee", 3: "cat"},
        "classes numbers its 3 classes 0, 1, 3.",
        "Number them from 0 to 2, each once.",
    ),
    (
        {"ant": 0, "bee": 1, "cat": 1, "dog": 2, "eel": 3},
        "classes numbers its 5 classes 0, 1, 1, 2 ....",
        "Number them from 0 to 4, each once.",
    ),
    (
        ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"],
        "classes gives the same name to several classes: 'a' (0, 1), 'b' (2, 3), 'c' (4, 5), 'd' (6, 7) and 1 more.",
        "Tell them apart, as in 'a 0' and 'a 1'.",
    ),
]


@pytest.mark.parametrize(("given", "problem", "remedy"), GIVEN)
def test_names_that_do_not_fit(given: Any, problem: str, remedy: str) -> None:
    assert refusal(given) == f"{problem}\n\n{remedy}"


def refusal(given: Any) -> str:
    with pytest.raises(ClassesMismatch) as caught:
        named(given)
    return str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "none.txt"
    assert refusal(path) == f"'{path}' cannot be read: No such file or directory.\n\n{FORMS}"
    (tmp_path / "broken.json").write_text("[")
    assert refusal(tmp_path / "broken.json") == (
        f"'{tmp_path / 'broken.json'}' is not JSON: Expecting value: line 1 column 2 (char 1).\n\n{FORMS}"
    )
    path = tmp_path / "weights.pt"
    path.write_bytes(b"\x80\x81\xff")
    assert refusal(path).startswith(f"'{path}' is not text in UTF-8: 'utf-8' codec")


def test_a_network_of_maps_has_no_classes_to_name() -> None:
    with pytest.raises(ClassesMismatch) as caught:
        fm.trace(nn.Conv2d(3, 3, 3), (3, 6, 6), classes=NAMES)
    assert str(caught.value) == (
        "classes names 3 classes; Conv2d does not return one score per class.\n\nLeave classes out."
    )


def test_names_of_the_zoos_need_no_weights() -> None:
    """Numbers as in the challenge's own list: 281 is the tabby, 134 the bird, 517 the machine."""
    torchvision = fm.load("torchvision:squeezenet1_1")
    assert torchvision.classes is not None
    assert (len(torchvision.classes), torchvision.classes[281], torchvision.classes[517]) == (1000, "tabby", "crane")
    timm = fm.load("timm:resnet10t")
    assert timm.classes is not None
    assert (len(timm.classes), timm.classes[281], timm.classes[639]) == (1000, "tabby", "maillot, tank suit")
    assert timm.classes.count("crane") == 2


def test_names_that_are_given_go_before_the_zoos() -> None:
    given = [f"name {number}" for number in range(1000)]
    assert fm.load("torchvision:squeezenet1_1", classes=given).classes == tuple(given)


def test_a_zoos_names_are_left_out_where_they_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from featmap.sources import load
    from featmap.sources.zoo import ZooModel

    def other(name: str, weights: str | None) -> ZooModel:
        return ZooModel(name, lambda: module(4), (3, 6, 6), fm.Preprocessing(), NAMES)

    monkeypatch.setattr(load, "torchvision_model", other)
    assert fm.load("torchvision:x").classes is None
