"""Details of answers and messages that a reader would stumble over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from featmap.errors import NotKept
from featmap.index.questions.chosen import Choice
from featmap.index.questions.distribution import Distribution


def test_a_distribution_is_lists_and_dictionaries() -> None:
    quantiles: dict[str, float | None] = {"99": None}
    found = Distribution("0:a/1", 2, 8, 0.5, 0.1, 0.0, 1.0, 0.5, 2, quantiles, (0.0, 0.5, 1.0), (1, 1)).to_dict()
    assert (found["edges"], found["counts"]) == ([0.0, 0.5, 1.0], [1, 1])


def test_a_distribution_without_a_table_has_no_histogram() -> None:
    found = Distribution("0:a/1", 2, 8, 0.5, 0.1, 0.0, 1.0, 0.5, 2, {}, None, None).to_dict()
    assert (found["edges"], found["counts"]) == (None, None)


def test_an_unknown_label_says_how_many_there_are() -> None:
    snapshot: Any = SimpleNamespace(images=1, labels=[f"label {letter}" for letter in "abcdefghij"])
    with pytest.raises(NotKept) as caught:
        Choice(label="x").numbers(snapshot)
    shown = ", ".join(f"label {letter}" for letter in "abcdefgh")
    assert str(caught.value).startswith(f"No image has the label 'x'.\n\nThere are {shown} and 2 more.")
