"""Shapes at the doors of `run/`, `statistics/` and `methods/`: all of them are named, and a wrong one is an error."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from featmap.methods.contributions import Contributions
from featmap.methods.shared.taps import window_values
from featmap.run.backward.signal import signal_at
from featmap.run.magnitudes import measured
from featmap.statistics.comoments import CoMomentsOfMaps
from featmap.statistics.maps import map_statistics
from featmap.statistics.strongest import Strongest

SOURCE = Path(__file__).parents[2] / "src" / "featmap"
MAPS = "Float[Tensor, 'image channel row column']"


def strongest_of_two_shapes() -> Any:
    image = np.zeros((2, 3), np.int64)
    return Strongest(np.zeros((2, 3), np.float32), image, np.zeros((3, 2), np.int32))


def contributions_of_two_sizes() -> Any:
    values, conv = torch.zeros(2, 4, 4, dtype=torch.float64), torch.zeros(4, 5, dtype=torch.float64)
    return Contributions("0:conv/0", "input", (0, 1), values, None, conv, "random")


def signal_with_a_box_too_many() -> Any:
    return signal_at(torch.zeros(2, 1, 3, 3), np.zeros(2, np.int64), np.zeros(3, np.int64))


@pytest.mark.parametrize(
    ("call", "parameter", "got", "wanted"),
    [
        (lambda: map_statistics(torch.zeros(2, 3, 4)), "maps", "f32[2,3,4]", MAPS),
        (lambda: map_statistics(torch.zeros(1, 1, 2, 2, dtype=torch.int64)), "maps", "i64[1,1,2,2]", MAPS),
        (lambda: CoMomentsOfMaps(3, 1).add(torch.zeros(3, 4, 4), 0), "maps", "f32[3,4,4]", MAPS),
        (strongest_of_two_shapes, "place", "i32[3,2]", "Int32[ndarray, 'map k']"),
        (signal_with_a_box_too_many, "columns", "i64[3]", "Int64[ndarray, 'unit']"),
        (lambda: window_values(torch.zeros(()), ()), "maps", "f32[]", "Shaped[Tensor, 'channel *place']"),
        (contributions_of_two_sizes, "conv", "f64[4,5]", "Float64[Tensor, '*place']"),
    ],
)
def test_a_wrong_shape_is_an_error(call: Callable[[], Any], parameter: str, got: str, wanted: str) -> None:
    with pytest.raises(TypeCheckError) as caught:
        call()
    assert f"typechecking parameter '{parameter}'.\nActual value: {got}(" in str(caught.value)
    assert f"Expected type: <class '{wanted}'>" in str(caught.value)


def test_a_wrong_result_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "abs", lambda values: values.real[0])
    with pytest.raises(TypeCheckError, match=r"the return value of featmap\.run\.magnitudes\.measured"):
        measured(torch.zeros(2, 2, dtype=torch.complex64))


def test_every_door_names_its_shapes() -> None:
    assert [name for name, annotation in doors() if "Tensor" in bare_names(annotation)] == []


Door = tuple[str, ast.expr]


def doors() -> Iterator[Door]:
    """What public functions take and return and public classes hold: of `run/`, what is imported from outside."""
    taken = names_taken_from_run()
    for folder in ("run", "statistics", "methods"):
        for path in sorted((SOURCE / folder).rglob("*.py")):
            module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                name = getattr(node, "name", "_")
                if not name.startswith("_") and (folder != "run" or (module, name) in taken):
                    yield from annotations_of(node, f"{module}.{name}")


def names_taken_from_run() -> set[tuple[str, str]]:
    outside = [path for path in SOURCE.rglob("*.py") if SOURCE / "run" not in path.parents]
    imports = (node for path in outside for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {
        (node.module, alias.name)
        for node in imports
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("featmap.run.")
        for alias in node.names
    }


def annotations_of(node: ast.AST, name: str) -> Iterator[Door]:
    if isinstance(node, ast.ClassDef):
        for member in node.body:
            if isinstance(member, ast.AnnAssign):
                yield f"{name}.{ast.unparse(member.target)}", member.annotation
            elif isinstance(member, ast.FunctionDef) and (member.name == "__init__" or member.name[0] != "_"):
                yield from annotations_of(member, f"{name}.{member.name}")
    elif isinstance(node, ast.FunctionDef):
        arguments = [*node.args.args, *node.args.kwonlyargs]
        yield from ((f"{name}: {each.arg}", each.annotation) for each in arguments if each.annotation)
        if node.returns is not None:
            yield f"{name}: return", node.returns


def bare_names(annotation: ast.expr) -> set[str]:
    """The types that an annotation names alone or beside others, without anything in brackets."""
    if isinstance(annotation, ast.BinOp):
        return bare_names(annotation.left) | bare_names(annotation.right)
    return {annotation.id} if isinstance(annotation, ast.Name) else set()
