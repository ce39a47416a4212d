"""`featmap conv`: its tables, its JSON, its pictures and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.console import featmap
from cli.golden import check

RICH = "conv 224x320 --channels 4 --filters 64 --kernel 7x3 --stride 2 --padding 3,1,2,1 --groups 2 --dilation 2x1"
TRANSPOSED = "conv 7 --channels 4 --filters 6 --kernel 3 --stride 2 --padding 1 --output-padding 1 --transpose"
SIMPLE = "conv 32 --channels 3 --filters 6 --kernel 5"


def document(line: str) -> dict[str, Any]:
    ended = featmap(f"{line} --json")
    assert (ended.code, ended.err) == (0, "")
    return json.loads(ended.out)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("conv-simple", SIMPLE),
        ("conv-rich", RICH),
        ("conv-transposed", TRANSPOSED),
        ("conv-one", "conv 1 --channels 1 --filters 1 --kernel 1"),
    ],
)
def test_the_table(name: str, line: str) -> None:
    ended = featmap(line)
    assert (ended.code, ended.err) == (0, "")
    check(name, ended.out)


def test_the_document() -> None:
    check("conv-json", featmap(f"{SIMPLE} --json").out)


def test_the_fields_that_others_rely_on() -> None:
    answer = document(SIMPLE)
    assert answer["output_size"] == [28, 28]
    assert answer["feature_maps"] == 6
    assert (answer["weights"], answer["weights_without_bias"]) == (456, 450)
    assert answer["products_per_value"] == 75
    assert answer["macs"] == 28 * 28 * 6 * 75
    assert answer["dense_weights"] == 3072 * 4704 + 4704
    field = {"size": [5, 5], "stride": [1, 1], "offset": [0, 0], "steps": [None, None], "status": "exact"}
    assert answer["receptive_field"] == field


def test_the_numbers_that_confuse_people() -> None:
    one = document("conv 32 --channels 3 --filters 1 --kernel 5")
    assert (one["products_per_value"], one["weights_without_bias"], one["weights"]) == (75, 75, 76)
    assert (one["dense_unit_weights_without_bias"], one["dense_unit_weights"]) == (3072, 3073)
    assert document("conv 32 --channels 3 --filters 1 --kernel 5 --stride 2")["output_size"] == [14, 14]
    assert document("conv 256 --channels 3 --filters 1 --kernel 5")["dense_unit_weights_without_bias"] == 196_608
    assert document("conv 32 --channels 1 --filters 1 --kernel 3 --padding 1")["output_size"] == [32, 32]
    assert document("conv 32 --channels 1 --filters 1 --kernel 5 --padding 2")["output_size"] == [32, 32]
    assert document(SIMPLE)["kernels"] == 18
    assert document("conv 128 --channels 3 --filters 32 --kernel 3 --padding 1")["output_size"] == [128, 128]
    assert document("conv 128 --channels 3 --filters 32 --kernel 3")["output_size"] == [126, 126]
    vgg = document("conv 224 --channels 3 --filters 64 --kernel 3 --padding 1")
    assert (vgg["weights_without_bias"], vgg["output_size"], vgg["feature_maps"]) == (64 * 27, [224, 224], 64)
    assert document("conv 8 --channels 2 --filters 3 --kernel 3")["weight_shape"] == [3, 2, 3, 3]


def test_units_finer_than_pixels_move_by_steps() -> None:
    answer = document("conv 7 --channels 1 --filters 1 --kernel 4 --stride 2 --padding 1 --transpose")
    nothing, steps = [None, None], [[1, 0], [1, 0]]
    field = {"size": [2, 2], "stride": nothing, "offset": nothing, "steps": steps, "status": "exact"}
    assert answer["receptive_field"] == field


@pytest.mark.parametrize("ending", ["svg", "gif"])
def test_draw(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"kernel.{ending}"
    ended = featmap(f"conv 7 --channels 1 --filters 1 --kernel 3 --json --draw {path}")
    assert (ended.code, ended.err) == (0, f"wrote {path}\n")
    assert json.loads(ended.out)["output_size"] == [5, 5]
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "conv 3 --channels 1 --filters 1 --kernel 5",
            "kernel 5 spans 5 rows, the padded input has 3 (3 rows + 0 above + 0 below).\n\n"
            "Use an input of at least 5 rows, more padding or a smaller kernel.\n",
        ),
        (
            "conv 8 --channels 3 --filters 4 --kernel 3 --groups 2",
            "3 channels cannot be divided evenly among 2 groups.\n\nFor 3 channels and 4 filters use groups 1.\n",
        ),
        (
            "conv 8x --channels 3 --filters 4 --kernel 3",
            "SIZE '8x' is neither a number nor ROWSxCOLUMNS.\n\nWrite SIZE 3, or SIZE 3x5.\n",
        ),
        (
            "conv 13x4 --channels 1 --filters 1 --kernel 3 --draw x.svg",
            "a picture of 13x4 inputs would not be legible, the most is 12x12.\n\n"
            "Draw the same kernel on a smaller input: it moves in the same way.\n",
        ),
        (
            "conv 7 --channels 1 --filters 1 --kernel 3 --draw x.png",
            "'x.png' ends in '.png'; a sliding kernel is written as .svg or .gif.\n\nUse 'x.svg'.\n",
        ),
        (
            "conv 7 --channels 1 --filters 1 --kernel 3 --draw /no/such/folder/x.svg",
            "'/no/such/folder/x.svg': there is no folder '/no/such/folder'.\n\n"
            "Create the folder, or choose another path.\n",
        ),
    ],
)
def test_a_wrong_question(line: str, text: str) -> None:
    for ended in (featmap(line), featmap(f"{line} --json")):
        assert (ended.code, ended.out, ended.err) == (2, "", text)
