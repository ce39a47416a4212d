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
        "output_padding": 0,
        "conventions": ["PyTorch symmetric"],
    }
    assert len(answer["rows"]) == len(answer["columns"]) == 13
    for way in answer["rows"]:
        assert Window(7, way["stride"], *way["padding"]).output_size(224) == 112
    settings = {"size": [224, 320], "kernel": [7, 7], "dilation": [1, 1], "transpose": False}
    assert answer["settings"] == settings


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
