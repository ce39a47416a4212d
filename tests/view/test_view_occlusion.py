"""Occlusions are drawn as strongly as they matter: full colour is the whole score, or on demand the largest effect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.panel import GAP_PX, MARGIN_PX
from featmap.view.pictures.occlusion import SHOWN_PX, occlusion_picture

SIDE = 8


def heat(effect: float) -> np.ndarray:
    """A drop in the left half and a rise of the same size in the right one."""
    return np.where(np.arange(SIDE) < SIDE // 2, effect, -effect)[None].repeat(SIDE, 0).astype(float)


def colour(effect: float, score: float, colours: str) -> np.ndarray:
    """The colour of the half where the score falls."""
    page = occlusion_picture(Image.new("RGB", (SIDE, SIDE), "grey"), heat(effect), score, "t", (), colours=colours)
    place = MARGIN_PX + SHOWN_PX + GAP_PX + SHOWN_PX // 4, page.height // 3
    return np.array(page.getpixel(place), dtype=float)


def strength(effect: float, score: float, colours: str = "score") -> float:
    """How far that colour is from that of no effect, over the three channels."""
    return float(np.abs(colour(effect, score, colours) - colour(0, score, colours)).sum())


def words(effect: float, score: float, colours: str = "score") -> list[str]:
    page = occlusion_picture(Image.new("RGB", (SIDE, SIDE)), heat(effect), score, "t", (), colours=colours)
    return page.info["Description"].split("; ")


def test_an_effect_of_2_percent_is_drawn_faintly_and_one_of_100_percent_in_full_colour() -> None:
    assert strength(0.016 * 13, 13) < 0.1 * strength(13, 13)
    assert strength(13, 13) == strength(13, 13, "effect")


@given(
    st.floats(0.01, 100), st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2).map(sorted), st.sampled_from([-1, 1])
)
def test_a_larger_share_of_the_score_is_never_drawn_more_faintly(score: float, shares: list[float], sign: int) -> None:
    smaller, larger = (strength(share * score, sign * score) for share in shares)
    assert smaller <= larger + 1


@given(st.floats(0.01, 1), st.floats(0.01, 100))
def test_the_same_share_is_drawn_alike_whatever_the_score(share: float, score: float) -> None:
    assert strength(share, 1) == pytest.approx(strength(share * score, score), abs=3)


def test_on_demand_the_largest_effect_has_full_colour() -> None:
    assert strength(0.016 * 13, 13, "effect") == strength(13, 13)


def test_the_words_say_what_full_colour_is() -> None:
    assert words(0.2, 10)[-4:] == [
        "red: the score falls, up to 10",
        "blue: it rises, by as much",
        "full colour is the whole score",
        "the largest value shown is 0.2",
    ]
    assert words(0.2, 10, "effect")[-3:] == [
        "red: the score falls, up to 0.2",
        "blue: it rises, by as much",
        "full colour is the largest value shown, 2.0% of the score",
    ]
    assert words(20, -10)[-1] == "full colour is the largest value shown, 200.0% of the score"
    assert words(20, 0)[-1] == "full colour is the largest value shown"
    assert words(0, 10)[-1] == "no window changes the score"


def test_another_word_is_refused() -> None:
    with pytest.raises(SettingError) as caught:
        occlusion_picture(Image.new("RGB", (2, 2)), heat(1), 1, "t", (), colours="full")
    assert str(caught.value) == (
        "There is no scale of colours 'full' for an occlusion.\n\n"
        "Use 'score' for colours that reach to the whole score, or 'effect' to the largest effect."
    )
