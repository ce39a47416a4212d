"""Every axis rule, compared with the PyTorch operator it describes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.errors import SettingError
from featmap.geometry import AxisRule, Cubic, Linear, Nearest, Pad, Window
from geometry.axis_oracle import apply, inside, rules, support


def refused(rule: AxisRule, size: int) -> bool:
    """Whether PyTorch refuses, or a padding has no input left to repeat: there PyTorch gives unset values."""
    if isinstance(rule, Pad):
        least = 0 if rule.mode == "constant" else 1
        if rule.kept(size) < least or size + rule.before + rule.after < 1:
            return True
    try:
        apply(rule, torch.zeros(1, 1, size))
    except (RuntimeError, ValueError):
        return True
    return False


@settings(max_examples=600)
@given(rules, st.integers(1, 24))
def test_rule_is_the_operator(rule: AxisRule, size: int) -> None:
    if refused(rule, size):
        with pytest.raises(SettingError):
            rule.output_size(size)
        return
    truth = support(rule, size)
    assert rule.output_size(size) == len(truth)
    for output, read in enumerate(truth):
        claimed = inside(set(rule.sources(output, size)), size)
        assert claimed >= read
        if not isinstance(rule, Linear) or rule.is_exact(size):
            assert claimed == read


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", [Nearest, Linear, Cubic])
@pytest.mark.parametrize("align", [False, True])
def test_no_rounding_is_missed(rule: type, align: bool, dtype: torch.dtype) -> None:
    """Sizes whose ratios are rounded in float32: whatever PyTorch reads is claimed, at most one index more a side."""
    for size in range(1, 50, 3):
        for outputs in range(1, 100, 7):
            axis = rule(outputs, None, align)
            for output, read in enumerate(support(axis, size, dtype)):
                claimed = inside(set(axis.sources(output, size)), size)
                assert claimed >= read
                assert len(claimed) <= len(read) + (4 if rule is Cubic else 2)


def test_all_that_is_left_may_be_padding() -> None:
    rule = Pad(2, -3)
    assert rule.output_size(3) == 2
    assert [inside(set(rule.sources(output, 3)), 3) for output in range(2)] == support(rule, 3) == [set(), set()]


def test_the_oracle_tells_rules_apart() -> None:
    assert support(Window(3, dilation=2), 8) == [{i, i + 2, i + 4} for i in range(4)]
    assert support(Window(3, before=1, after=1), 4) != support(Window(3, before=0, after=2), 4)
