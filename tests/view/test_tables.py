"""Tables in a terminal read back to the answers: every cell in its row, numbers to within their digits."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import featmap as fm
from featmap.view.tables.network import plan_rows, plan_table
from featmap.view.tables.parts import as_text, natural_width, shape_text, table
from featmap.view.tables.value import explanation_table
from support.occlusion_cases import case, case_of
from support.results import Made
from support.tiny_modules import conv

CELLS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=9)
NETWORKS = ("plain", "residual, strided", "concat", "squeeze and excite", "transposed", "ConvNeXt")


def assert_row(line: str, cells: Sequence[str]) -> None:
    """The line is these cells in this order, and nothing but spaces between them."""
    assert re.fullmatch(r"\s*" + r"\s+".join(re.escape(cell) for cell in cells if cell) + r"\s*", line), (line, cells)


def read(text: str) -> float:
    """A number as tables write it: 1.79K, 12.5%, +0.25, 3."""
    found = re.fullmatch(r"([+-]?[\d.]+(?:e[+-]?\d+)?)([KMGTP%]?)", text)
    assert found is not None, text
    return float(found[1]) * (0.01 if found[2] == "%" else 1000 ** " KMGTP".index(found[2] or " "))


@st.composite
def grids(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[list[str]]]:
    columns = draw(st.integers(1, 5))
    headings = [(draw(CELLS), draw(st.sampled_from(["left", "right"]))) for _ in range(columns)]
    return headings, [[draw(CELLS) for _ in range(columns)] for _ in range(draw(st.integers(0, 5)))]


@settings(max_examples=100)
@given(grids())
def test_every_cell_stands_in_its_row_aligned_as_its_heading_says(
    drawn: tuple[list[tuple[str, str]], list[list[str]]],
) -> None:
    headings, rows = drawn
    made = table(headings, rows)
    text = as_text(made, natural_width(made))
    lines = text.split("\n")
    assert len(lines) == 1 + len(rows)
    assert_row(lines[0], [heading for heading, _ in headings])
    for line, cells in zip(lines[1:], rows, strict=True):
        assert_row(line, cells)
    assert max(map(len, lines)) <= natural_width(made)
    spans = [[match.span() for match in re.finditer(r"\S+", line)] for line in lines]
    for column, (_, side) in enumerate(headings):
        assert len({of_line[column][side == "right"] for of_line in spans}) == 1, "one edge for all of a column"


@given(CELLS)
def test_marks_of_rich_are_text(words: str) -> None:
    assert as_text(table([("a", "left")], [[f"[red]{words}[/red] :cat:"]]), 99).endswith(f"[red]{words}[/red] :cat:")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plan_reads_back(name: str) -> None:
    plan = case(name).net.plan()
    _, _, *lines = str(plan).split("\n")
    for row, line in zip(plan, lines, strict=False):
        start = [row.address, row.operator, row.details, shape_text(row.output_shape)]
        known = re.match(r"\s*" + r"\s+".join(re.escape(cell) for cell in start if cell) + r"\s+(\S+)\s+(\S+)\s", line)
        assert known is not None, line
        assert read(known[1]) == pytest.approx(row.parameters, rel=5.1e-3)
        assert row.macs is not None
        assert read(known[2]) == pytest.approx(row.macs, rel=5.1e-3)
        assert line.endswith(" ".join(row.stages))
    said = "\n".join(lines[len(plan) :])
    assert f"parameters {plan.totals.parameters:,}" in said
    assert f"MACs {plan.totals.macs:,} for one image" in said


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_a_narrow_plan_leaves_out_whole_columns_and_says_which(name: str, width: int) -> None:
    plan = case(name).net.plan()
    _, heading, *lines = as_text(plan_rows(plan, width), width=300).split("\n")
    wide = as_text(plan_table(plan), width=300).split("\n")[1]
    hint = next((line for line in lines if line.startswith("left out for lack of space: ")), "")
    left_out = hint.partition(": ")[2].split(", ") if hint else []
    assert sorted([*heading.split(), *left_out]) == sorted(wide.split())
    assert {"layer", "output"} <= set(heading.split())
    for row, line in zip(plan, lines, strict=False):
        assert line.split()[0] == row.address
        assert shape_text(row.output_shape) in line
    rows = [heading, *lines[: len(plan)]]
    assert max(map(len, rows)) <= width or len(heading.split()) == 2, "wider only where nothing more can be left out"


def test_ranges_of_maps_read_back() -> None:
    asked = case_of(nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 2)), (3, 6, 5))
    maps = asked.net.maps(torch.cat([asked.image, asked.image * 2]), ["0:z", "0:a", "2"])
    _, *lines = str(maps).split("\n")
    for found, line in zip(maps.values(), lines, strict=False):
        values = found.values
        address, channels, rows, by, columns, low, high, mean, positive = line.split()
        assert (address, by) == (found.address, "x")
        assert (int(channels), int(rows), int(columns)) == tuple(values.shape[1:])
        for text, value in ((low, values.min()), (high, values.max()), (mean, values.mean())):
            assert read(text) == pytest.approx(float(value), rel=5.1e-4)
        assert read(positive) == pytest.approx(float((values > 0).double().mean()), abs=5.1e-4)


@pytest.mark.parametrize("shown", [1, 2, 8])
def test_the_rows_of_an_explanation_add_up(shown: int) -> None:
    asked = case_of(nn.Sequential(conv(5, 3), nn.BatchNorm2d(3), nn.ReLU()), (5, 6, 6))
    found = asked.net.explain(asked.image, "0:a/1@2,3")
    lines = as_text(explanation_table(found, shown), width=300).split("\n")
    assert lines[0] == f"0:a/1@2,3 = {found.value:.6g}"
    values = {" ".join(line.split()[:2]): read(line.split()[-1]) for line in lines[3:] if len(line.split()) > 1
              and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", line.split()[-1])}  # fmt: skip
    parts = [value for name, value in values.items() if name.startswith(("channel", "bias"))]
    others = [value for name, value in values.items() if re.match(r"\d+ other", name)]
    assert len(parts) == min(shown, 5) + 1
    assert bool(others) == (shown < 5)
    assert sum([*parts, *others]) == pytest.approx(found.conv, rel=1e-4, abs=1e-4)


def test_shares_of_contributions_add_up_and_their_sums_are_the_maps() -> None:
    asked = case_of(nn.Sequential(conv(12, 3)), (12, 5, 5))
    found = asked.net.contributions(asked.image, "0/1")
    rows = [line.split() for line in str(found).split("\n") if line.startswith("channel") or " other channel" in line]
    assert len(rows) == 9, "the eight largest, and the others together"
    assert sum(read(row[-2]) for row in rows) == pytest.approx(1, abs=5e-3)
    largest = [read(row[-2]) for row in rows[:8]]
    assert largest == sorted(largest, reverse=True)
    total = sum(read(row[-1]) for row in rows) + found.bias * 25
    assert total == pytest.approx(float(found.conv.sum()), rel=1e-4, abs=1e-3)


def test_the_cost_of_an_occlusion_reads_back() -> None:
    cost = case("squeeze and excite").net.occlusion_cost(f"{case('squeeze and excite').output}/0", 3, 3)
    title, _, *lines = str(cost).split("\n")
    assert title == f"occlusion, {cost.positions} windows of 3 x 3, stride 3 x 3"
    for row, line in zip(cost.layers, lines, strict=False):
        address, macs, exact, recomputed, *whole = line.split()
        assert address == row.address
        assert read(macs) == pytest.approx(row.macs, rel=5.1e-3)
        assert read(exact) == pytest.approx(row.exact, abs=5.1e-4)
        assert read(recomputed) == pytest.approx(row.recomputed, abs=5.1e-4)
        assert whole == ([] if row.is_regional else ["whole"])
    assert f"{cost.expected:.2f}x of at most {cost.ceiling:.2f}x" in lines[-1]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> fm.Index:
    return Made(tmp_path_factory.mktemp("index")).index


def test_the_strongest_images_read_back(index: fm.Index) -> None:
    top = index.top("0:a/1")
    _, _, *lines = str(top).split("\n")
    assert len(lines) == len(top.examples)
    for example, line in zip(top.examples, lines, strict=True):
        value, image, label, unit, _, rows, _, columns = line.split()
        assert read(value) == pytest.approx(example.value, rel=5.1e-4)
        assert (image, label, unit) == (example.image, example.label, f"@{example.unit[0]},{example.unit[1]}")
        assert rows.rstrip(",") == f"{example.box.top}:{example.box.bottom}"
        assert columns == f"{example.box.left}:{example.box.right}"


def test_an_audit_has_a_row_for_every_layer_and_their_sum(index: fm.Index) -> None:
    audit = index.audit()
    _, *lines = str(audit).split("\n")
    for layer, line in zip(audit.layers, lines, strict=False):
        assert line.split()[:2] == [layer.address, str(layer.maps)]
        assert f"{layer.sparsity:.1%}" in line.split()
    total = lines[len(audit.layers)].split()
    assert total[:2] == ["total", str(sum(layer.maps for layer in audit.layers))]
    assert index.distribution("0:a/1").images == 6
