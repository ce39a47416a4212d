"""`featmap solve`: its tables, its JSON and its refusals."""

from __future__ import annotations

import json

import pytest

from cli.console import featmap
from cli.golden import check
from featmap.geometry import Window


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("solve-half", "solve 224 --output 112 --kernel 7"),
        ("solve-same", "solve 224x225 --output same --kernel 4 --stride 2"),
        ("solve-transposed", "solve 14 --output 28 --kernel 3 --transpose --all"),
        ("solve-one", "solve 7 --output 1 --kernel 7"),
        ("solve-two", "solve 10 --output 2 --kernel 3 --all"),
        ("solve-pool", "solve 112 --output 56 --kernel 3 --pool"),
        ("solve-ceil", "solve 7x9 --output 1x4 --kernel 3 --ceil --stride 9x3"),
        ("solve-dilated", "solve 20x9 --output 16x9 --kernel 3x1 --dilation 2x1 --stride 1"),
    ],
)
def test_the_table(name: str, line: str) -> None:
    ended = featmap(line)
    assert (ended.code, ended.err) == (0, "")
    check(name, ended.out)


def test_the_document() -> None:
    ended = featmap("solve 224x320 --output 112x160 --kernel 7 --json")
    assert (ended.code, ended.err) == (0, "")
    answer = json.loads(ended.out)
    assert answer["output_size"] == [112, 160]
    assert answer["solutions"][0] == {
        "padding": [3, 3],
        "stride": 2,
        "last_stride": 2,
        "output_padding": 0,
        "conventions": ["PyTorch symmetric"],
        "not_in_pytorch": None,
    }
    assert answer["rows"][1]["not_in_pytorch"] == "Conv2d pads both sides alike: call functional.pad before it"
    assert len(answer["rows"]) == len(answer["columns"]) == 13
    for way in answer["rows"]:
        assert Window(7, way["stride"], *way["padding"]).output_size(224) == 112
    settings = {"size": [224, 320], "kernel": [7, 7], "dilation": [1, 1], "transpose": False}
    assert answer["settings"] == {**settings, "pool": False, "ceil_mode": False}


def test_strides_without_end_are_one_answer_in_the_document() -> None:
    answer = json.loads(featmap("solve 7 --output 1 --kernel 7 --json").out)
    strides = [(way["padding"][0], way["stride"], way["last_stride"]) for way in answer["solutions"][:3]]
    assert strides == [(0, 1, 6), (0, 7, None), (1, 3, None)]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "solve 32 --output 20 --kernel 3",
            "32 rows and columns cannot become 20 with kernel 3 and paddings of at most 2: stride 1 gives 30 to 34, "
            "stride 2 gives 15 to 17.\n\nAsk for 17 or 30 rows and columns, or change the kernel.\n",
        ),
        (
            "solve 32 --output nothing --kernel 3",
            "--output 'nothing' is neither a number nor ROWSxCOLUMNS.\n\nWrite --output 3, or --output 3x5.\n",
        ),
        (
            "solve 32 --output 0 --kernel 3",
            "output is 0, the lowest possible is 1.\n\nFor output use 1 or more.\n",
        ),
    ],
)
def test_a_wrong_question(line: str, text: str) -> None:
    for ended in (featmap(line), featmap(f"{line} --json")):
        assert (ended.code, ended.out, ended.err) == (2, "", text)
