"""Values of a command line: their meaning, and every refusal's whole text."""

from __future__ import annotations

import pytest

from featmap.cli.options import parse
from featmap.errors import SettingError


@pytest.mark.parametrize(
    ("text", "pair"), [("3", (3, 3)), ("3x5", (3, 5)), ("3X5", (3, 5)), (" 12×7 ", (12, 7)), ("-1", (-1, -1))]
)
def test_pairs(text: str, pair: tuple[int, int]) -> None:
    assert parse.pair(text, "--kernel") == pair


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("1", ((1, 1), (1, 1))),
        ("1x2", ((1, 1), (2, 2))),
        ("1,2,3,4", ((1, 3), (2, 4))),
        (" 1, 2, 3, 4", ((1, 3), (2, 4))),
        ("same", "same"),
        ("SAME", "same"),
    ],
)
def test_paddings(text: str, sides: object) -> None:
    assert parse.padding(text) == sides


@pytest.mark.parametrize("text", ["", "x", "3x", "3x4x5", "three", "3.5"])
def test_a_text_that_is_no_pair(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse.pair(text, "--stride")
    assert str(caught.value) == (
        f"--stride {text!r} is neither a number nor ROWSxCOLUMNS.\n\nWrite --stride 3, or --stride 3x5."
    )


def test_a_text_that_is_no_size() -> None:
    with pytest.raises(SettingError) as caught:
        parse.size("224,224")
    assert str(caught.value) == ("SIZE '224,224' is neither a number nor ROWSxCOLUMNS.\n\nWrite SIZE 3, or SIZE 3x5.")


@pytest.mark.parametrize("text", ["1,2", "1,2,3", "valid", "1x2x3"])
def test_a_text_that_is_no_padding(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse.padding(text)
    assert str(caught.value) == (
        f"--padding {text!r} is not a padding.\n\n"
        "Write --padding 1, --padding 1x2 (rows x columns), --padding same, or all four sides as in "
        "--padding 0,1,2,3 (top,left,bottom,right)."
    )
