"""`featmap plan`: the table in terminals of any width, the data, other input sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from cli import networks
from cli.console import featmap
from cli.examples import check_help
from cli.golden import check
from cli.terminal import on_terminal

SMALL = "cli.networks:Small"


def test_text() -> None:
    ended = featmap(f"plan {SMALL}")
    assert (ended.code, ended.err) == (0, "")
    check("plan", ended.out)


def test_help_and_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help("plan")


@pytest.mark.parametrize("columns", [120, 80, 60, 30])
def test_terminals_of_any_width(columns: int) -> None:
    ended = on_terminal(f"plan {SMALL}", columns)
    assert (ended.code, ended.err) == (0, "")
    check(f"plan-{columns}-columns", ended.out)
    table = ended.out.split("\n\n")[0].split("\n")
    rows = [line for line in table[1:] if not line.startswith("left out")]
    assert all(len(line.rstrip()) <= columns for line in rows)
    assert "…" not in ended.out
    assert [row.split()[0] for row in rows] == ["layer", "stem", "grouped", "add", "pool"]


def test_what_a_narrow_terminal_leaves_out_is_named() -> None:
    narrow = on_terminal(f"plan {SMALL}", 60).out
    assert "left out for lack of space: details, operator" in narrow
    assert "left out" not in on_terminal(f"plan {SMALL}", 140).out


def test_json_is_one_document_with_the_documented_fields() -> None:
    ended = featmap(f"plan {SMALL} --json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert {"layers", "totals"} <= set(document)
    assert {"parameters", "macs", "activation_bytes", "peak_bytes"} <= set(document["totals"])
    wanted = {"address", "operator", "input_shape", "output_shape", "parameters", "macs", "receptive_field", "stages"}
    for layer in document["layers"]:
        assert wanted <= set(layer)
        assert set(layer["receptive_field"]) == {"size", "stride", "offset", "steps", "status"}


def test_numbers_are_those_of_the_module() -> None:
    document = json.loads(featmap(f"plan {SMALL} --json").out)
    module = networks.Small().eval()
    assert document["totals"]["parameters"] == sum(parameter.numel() for parameter in module.parameters())
    shapes: dict[str, list[int]] = {}

    def keep(name: str, value: torch.Tensor) -> None:
        shapes[name] = list(value.shape[1:])

    for name in ("stem", "grouped", "pool"):
        part: nn.Module = getattr(module, name)
        part.register_forward_hook(lambda _part, _inputs, value, name=name: keep(name, value))
    module(torch.zeros(1, 3, 12, 16))
    rows = {row["address"]: row for row in document["layers"]}
    assert {name: rows[name]["output_shape"] for name in shapes} == shapes
    assert rows["stem"]["macs"] == 4 * 12 * 16 * 3 * 9
    assert rows["grouped"]["macs"] == 4 * 12 * 16 * 2 * 9


@pytest.mark.parametrize("shape", ["3x30x20", "3X30X20", "3×30×20", " 3x30x20 "])
def test_another_input_size(shape: str) -> None:
    document = json.loads(featmap(f"plan {SMALL} --input '{shape}' --json").out)
    assert document["input_shape"] == [3, 30, 20]
    assert document["layers"][0]["output_shape"] == [4, 30, 20]
    assert document["preprocessing"].startswith("stretch to 30x20")


def test_a_callable_that_does_not_say_its_input() -> None:
    document = json.loads(featmap("plan cli.networks:AnySize --json --input 3x8x8").out)
    assert document["layers"][0]["output_shape"] == [4, 8, 8]


def test_a_size_that_the_head_cannot_take_shows_the_rows_up_to_there() -> None:
    ended = featmap("plan cli.networks:Headed --input 3x20x20")
    assert ended.code == 2
    check("plan-head", ended.out)
    assert "MACs 4" not in ended.out, "totals of a part would be taken for those of the network"
    assert ended.err == (
        "'5' cannot take what an input of 3 x 20 x 20 gives: 72 values arrive where its weights are made for 16.\n\n"
        "Plan an input size that fits this layer.\n"
    )


def test_an_input_smaller_than_a_kernel_shows_the_rows_up_to_there() -> None:
    ended = featmap("plan cli.networks:Headed --input 3x6x20")
    assert ended.code == 2
    check("plan-kernel", ended.out)
    assert ended.err == (
        "'3' cannot take what an input of 3 x 6 x 20 gives: kernel 3 spans 3 rows, the padded input has 1 "
        "(1 row + 0 above + 0 below).\n\n"
        "Plan an input size that fits this layer.\n"
    )


def test_rows_up_to_there_are_no_json() -> None:
    ended = featmap("plan cli.networks:Headed --input 3x6x20 --json")
    assert (ended.code, ended.out) == (2, "")


def test_other_channels_than_the_network_has() -> None:
    ended = featmap(f"plan {SMALL} --input 1x12x16")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "cli.networks:Small takes images of 3 channels, shape 3x12x16; got 1x12x16.\n\n"
        "Give the shape as channels x rows x columns, with 3 channels.\n"
    )


def test_a_file_of_an_exported_program(place: Path) -> None:
    rows = json.loads(featmap("plan small.pt2 --json").out)["layers"]
    assert rows == json.loads(featmap(f"plan {SMALL} --json").out)["layers"]
    assert json.loads(featmap("plan ./small.pt2 --input 3x8x8 --json").out)["input_shape"] == [3, 8, 8]


def test_options_may_stand_in_any_order() -> None:
    one, other = featmap(f"plan --json --input 3x8x8 {SMALL}"), featmap(f"plan {SMALL} --input 3x8x8 --json")
    assert one == other
    assert one.code == 0
