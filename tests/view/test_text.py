"""Numbers in pictures read back to their values, and texts keep their words and their room."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from featmap.view.drawing.text import (
    MINUS,
    extent,
    fitting,
    font,
    number,
    plural,
    shortened,
    width_px,
    wrapped,
    write,
)
from featmap.view.tables.parts import count, counted, shape_text, size_text, skipped_lines

EXAMPLES = settings(max_examples=200)
VALUES = st.floats(-1e300, 1e300)
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=20)


def read(text: str) -> float:
    return float(text.replace(MINUS, "-"))


@EXAMPLES
@given(VALUES, st.integers(1, 6))
def test_a_number_reads_back_to_within_its_digits(value: float, digits: int) -> None:
    if abs(value) < 1e-300:
        value = 0.0
    text = number(value, digits)
    assert read(text) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))
    assert "-" not in text.partition("e")[0], "a hyphen is no minus sign"
    assert text.startswith(MINUS) == (value < 0)


@EXAMPLES
@given(VALUES, VALUES, st.integers(1, 6))
def test_a_larger_number_never_reads_as_a_smaller_one(one: float, other: float, digits: int) -> None:
    low, high = sorted(0.0 if abs(value) < 1e-300 else value for value in (one, other))
    assert read(number(low, digits)) <= read(number(high, digits))


@EXAMPLES
@given(VALUES)
def test_a_number_has_no_zeros_that_say_nothing(value: float) -> None:
    mantissa = number(value).partition("e")[0]
    assert "." not in mantissa or not mantissa.endswith(("0", "."))
    assert len(number(value)) <= 11


def test_what_is_not_finite_is_said() -> None:
    assert [number(value) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "inf", f"{MINUS}inf"]
    assert extent(-math.inf, math.nan) == f"{MINUS}inf to NaN"


@EXAMPLES
@given(st.lists(WORDS, max_size=12), st.integers(30, 400), st.sampled_from([11, 12, 18]), st.booleans())
def test_wrapped_lines_fit_and_hold_every_word_in_order(words: list[str], room: int, size: int, bold: bool) -> None:
    lines = wrapped(" ".join(words), room, size, bold=bold)
    assert all(width_px(line, size, bold=bold) <= room for line in lines)
    shown = " ".join(lines).split(" ") if lines else []
    assert len(shown) == len(words)
    for found, word in zip(shown, words, strict=True):
        assert found == word or width_px(word, size, bold=bold) > room
    for line, following in pairwise(lines):
        first = following.split(" ")[0]
        # A word that was cut did not fit as it is.
        longer = f"{line} {first}"
        assert first not in words or width_px(longer, size, bold=bold) > room, "the next word would have fitted"


@EXAMPLES
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=60), st.integers(12, 300))
def test_a_shortened_text_fits_and_keeps_both_its_ends(text: str, room: int) -> None:
    shown = shortened(text, room, 12)
    assert width_px(shown, 12) <= room or shown == "…"
    if width_px(text, 12) <= room:
        assert shown == text
    elif shown != "…":
        start, _, end = shown.partition("…")
        assert text.startswith(start)
        assert text.endswith(end)
        assert 0 <= len(start) - len(end) <= 1
        one_more = f"{text[: len(start) + 1]}…{text[len(text) - len(end) :]}"
        assert len(start) + len(end) == len(text) - 1 or width_px(one_more, 12) > room or len(start) > len(end)


@EXAMPLES
@given(st.lists(WORDS, max_size=5), st.integers(0, 200))
def test_the_first_text_that_fits_is_taken(texts: list[str], room: int) -> None:
    found = fitting(texts, room, 12)
    fits = [text for text in texts if width_px(text, 12) <= room]
    assert found == (fits[0] if fits else "")


@pytest.mark.parametrize("anchor", ["ls", "rs", "mm"])
def test_text_is_drawn_within_the_width_that_is_said(anchor: str) -> None:
    page = Image.new("RGB", (400, 60), "white")
    write(ImageDraw.Draw(page), (200, 30), "features.12:z", 14, anchor=anchor)
    columns = np.flatnonzero((np.asarray(page) < 255).any(axis=(0, 2)))
    width = width_px("features.12:z", 14)
    first = {"ls": 200, "rs": 200 - width, "mm": 200 - width / 2}[anchor]
    assert first - 2 <= columns[0]
    assert columns[-1] <= first + width + 2
    assert columns[-1] - columns[0] >= width - 6
    assert font(14) is font(14)


@EXAMPLES
@given(st.integers(0, 10**17))
def test_counts_read_back_to_within_three_digits(value: int) -> None:
    text = count(value)
    found = re.fullmatch(r"([\d.]+)([KMGTP]?)", text)
    assert found is not None
    scale = 1000 ** " KMGTP".index(found[2] or " ")
    assert float(found[1]) * scale == pytest.approx(value, rel=5.1e-3)
    assert len(found[1].replace(".", "")) <= 4


@EXAMPLES
@given(st.integers(0, 2**50))
def test_sizes_read_back_to_within_a_tenth_of_their_unit(value: int) -> None:
    amount, unit = size_text(value).split(" ")
    scale = 1024 ** ["B", "KiB", "MiB", "GiB"].index(unit)
    assert float(amount) * scale == pytest.approx(value, abs=0.051 * scale if scale > 1 else 0.5)
    assert float(amount) <= 1024 or unit == "GiB"


@given(st.lists(st.integers(1, 9999), max_size=4))
def test_shapes_read_back(shape: list[int]) -> None:
    assert [int(side) for side in shape_text(tuple(shape)).split(" x ")] == (shape or [1])


@given(st.integers(0, 10**7), st.sampled_from(["map", "image"]))
def test_one_thing_is_not_several(amount: int, noun: str) -> None:
    for text in (plural(amount, noun), counted(amount, noun)):
        said, _, word = text.partition(" ")
        assert int(said.replace(",", "")) == amount
        assert word == (noun if amount == 1 else f"{noun}s")


@given(st.lists(st.tuples(WORDS, WORDS), max_size=25))
def test_of_many_skipped_images_ten_are_named_and_all_are_counted(skipped: list[tuple[str, str]]) -> None:
    lines = skipped_lines(skipped)
    if not skipped:
        assert lines == []
        return
    assert lines[0] == f"{counted(len(skipped), 'image')} could not be read:"
    named = [line for line in lines[1:] if not line.startswith("  and ") or len(skipped) <= 10]
    assert named == [f"  {reason}" for _, reason in skipped[:10]]
    assert (len(skipped) > 10) == (lines[-1] == f"  and {len(skipped) - 10} more")
