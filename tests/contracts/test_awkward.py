"""Awkward modules through every method: each answer is the module's own or the definition's, and the module stays.

The right value comes from the module itself, run by torch: its output, what its parts return, autograd's gradients, the
module on changed pixels.
"""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import featmap as fm
from featmap.errors import FeatmapError, InputError
from featmap.run.batches import run_batches
from featmap.testing.awkward import AWKWARD, Awkward
from support.model_state import assert_same_state, model_state


@dataclass(frozen=True)
class Case:
    """One kind, traced, with a module of the same weights that featmap never saw."""

    awkward: Awkward
    module: nn.Module
    fresh: Callable[[], nn.Module]
    net: fm.Network
    image: Tensor
    target: str
    number: int
    place: tuple[int, ...]

    def outputs(self, image: Tensor | None = None) -> list[Tensor]:
        """The tensors that the model returns."""
        with torch.no_grad():
            answer = self.fresh()(self.image if image is None else image)
        return [leaf for leaf in pytree.tree_leaves(answer) if isinstance(leaf, Tensor)]


def place_of(module: nn.Module, image: Tensor) -> tuple[str, int, tuple[int, ...]]:
    """A place of the first output with float values: as a target, the output's number, and the place."""
    with torch.random.fork_rng(devices=[]):
        answer = module(image)
    leaves, _ = pytree.tree_flatten_with_path(answer)
    number = -1
    for path, leaf in leaves:
        if isinstance(leaf, Tensor):
            number += 1
            if leaf.is_floating_point() and leaf.ndim > 1:
                place = tuple(size // 2 for size in leaf.shape[1:])
                parts = [getattr(step, "key", getattr(step, "idx", getattr(step, "name", None))) for step in path]
                steps = "".join(f"[{part!r}]" for part in parts)
                return f"{steps}[{', '.join(map(str, place))}]", number, place
    raise AssertionError("no output to ask for")


@functools.cache
def case(name: str) -> Case:
    awkward = AWKWARD[name]
    module = awkward.module()
    net = fm.trace(module, inputs=(awkward.image(),))
    place = place_of(awkward.module().eval(), awkward.image())
    return Case(awkward, module, lambda: awkward.module().eval(), net, awkward.image(), *place)


pytestmark = [
    pytest.mark.filterwarnings("ignore::featmap.network.randomness.RandomInEvaluation"),
    pytest.mark.filterwarnings("ignore::featmap.network.differing.StateInEvaluation"),
    pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics"),
]
every_kind = pytest.mark.parametrize("name", AWKWARD)
certain_kinds = pytest.mark.parametrize("name", [name for name in AWKWARD if not AWKWARD[name].is_random])


def answered(ask: Callable[[], Any]) -> Any:
    """An answer; None where it is refused in words that say what to do."""
    try:
        return ask()
    except FeatmapError as error:
        refusal = error
    assert refusal.remedy, refusal.problem
    return None


def close(found: Tensor, wanted: Tensor, share: float = 1e-4) -> None:
    assert found.shape == wanted.shape
    scale = float(wanted.detach().abs().max()) if wanted.numel() else 0.0
    kind = torch.complex128 if wanted.is_complex() else torch.float64
    torch.testing.assert_close(found.detach().to(kind), wanted.detach().to(kind), rtol=0, atol=share * (scale or 1))


@every_kind
def test_tracing_leaves_the_module_and_says_the_same_again(name: str) -> None:
    awkward = AWKWARD[name]
    module = awkward.module()
    before = model_state(module)
    first = fm.trace(module, inputs=(awkward.image(),))
    assert_same_state(before, model_state(module))
    second = fm.trace(module, inputs=(awkward.image(),))
    assert first.plan().to_dict() == second.plan().to_dict()
    copy.deepcopy(module).eval()(awkward.image())


@certain_kinds
def test_the_output(name: str) -> None:
    found = case(name)
    captured = found.net._captured  # pyright: ignore[reportPrivateUsage]
    wanted = found.outputs()
    numbers = [index for index in captured.graph.outputs if index is not None]
    values = run_batches(captured, found.image, list(dict.fromkeys(numbers)), fold=False)
    assert len(numbers) == len(wanted)
    for number, right in zip(numbers, wanted, strict=True):
        close(values[number].reshape(right.shape), right)


def returned(module: nn.Module, image: Tensor) -> dict[str, list[Tensor]]:
    """What every call of a part without parts of its own returns, by path."""
    found: defaultdict[str, list[Tensor]] = defaultdict(list)
    for path, part in module.named_modules():
        if path and not list(part.children()):
            keep: Any = lambda *given, path=path: found[path].extend(copied(given[-1]))  # noqa: E731
            part.register_forward_hook(keep)
    with torch.no_grad():
        module(image)
    return dict(found)


def copied(answer: Any) -> list[Tensor]:
    """Tensors that the model's own code cannot write into any more."""
    return [leaf.clone() for leaf in pytree.tree_leaves(answer) if isinstance(leaf, Tensor)]


@certain_kinds
def test_maps_of_every_row(name: str) -> None:
    """Every address that a plan prints can be asked and has the planned shape; parts' hold what these return."""
    found = case(name)
    right = returned(found.fresh(), found.image)
    for row in found.net.plan():
        stages = [f"{row.address}:{stage}" for stage in row.stages]
        maps = found.net.maps(found.image, stages, progress=False)
        for stage in stages:
            values = maps[stage].values
            planned = torch.Size(row.output_shape).numel()
            assert values[0].numel() == planned, stage
        path, _, number = row.address.partition("#")
        calls = [
            part for value in right.get(path, []) for part in (value.split(1) if number and value.ndim else [value])
        ]
        if calls and len(calls) >= int(number or 1):
            wanted = calls[int(number or 1) - 1]
            options = [maps[stage].values for stage in stages]
            same = [values for values in options if values.numel() == wanted.numel()]
            assert any(_alike(values, wanted) for values in same), row.address


def _alike(values: Tensor, wanted: Tensor) -> bool:
    options = [values.reshape(wanted.shape)]
    options += [values.movedim(1, -1)] if values.movedim(1, -1).shape == wanted.shape else []
    close_to = functools.partial(torch.allclose, atol=1e-4 * (float(wanted.abs().max()) or 1), equal_nan=True)
    return any(close_to(option.double(), wanted.double()) for option in options)


def units(net: fm.Network, image: Tensor, count: int = 4) -> list[str]:
    """Some units of rows that have maps, each in the last channel and column."""
    rows = [row for row in net.plan() if len(row.output_shape) == 3]
    found = []
    for row in rows[:: max(1, len(rows) // count)]:
        address = f"{row.address}:{row.stages[0]}"
        channels, height, width = next(iter(net.maps(image, address, progress=False).values())).values.shape[1:]
        found.append(f"{address}/{channels - 1}@{height // 2},{width - 1}")
    return found


@certain_kinds
def test_no_pixel_outside_a_box_changes_the_unit(name: str) -> None:
    found = case(name)
    other = found.awkward.image().flip(2).flip(3)
    for unit in units(found.net, found.image):
        box = found.net.receptive_field(unit).box
        assert box is not None
        changed = other.clone()
        inside = (..., slice(box.top, box.bottom), slice(box.left, box.right))
        changed[inside] = found.image[inside]
        address, _, place = unit.partition("/")
        channel, _, at = place.partition("@")
        row, column = map(int, at.split(","))
        kept, now = (
            next(iter(found.net.maps(image, address, progress=False).values())).values[0, int(channel), row, column]
            for image in (found.image, changed)
        )
        close(now * 1.0, kept * 1.0)


@certain_kinds
def test_explanations_are_of_the_value(name: str) -> None:
    found = case(name)
    for layer in found.net.layers:
        if "conv" not in layer.stages or len(layer.output_shape) != 3:
            continue
        channels, height, width = layer.output_shape
        unit = f"{layer.address}:conv/{channels - 1}@{height - 1},{width // 2}"
        told = answered(lambda unit=unit: found.net.explain(found.image, unit))
        if told is None:
            continue
        values = next(iter(found.net.maps(found.image, f"{layer.address}:conv", progress=False).values())).values
        assert told.value == pytest.approx(float(values[0, channels - 1, height - 1, width // 2]), rel=1e-3, abs=1e-4)


@every_kind
def test_gradients_are_autograds(name: str) -> None:
    found = case(name)
    target, number, place = found.target, found.number, found.place
    if found.awkward.is_random:
        return
    projection = found.net.project(found.image, target, rule="gradient", start="one", progress=False)
    if not found.image.is_floating_point():
        assert projection.values.isfinite().all()
        return
    given = found.image.clone().requires_grad_()
    outputs = [leaf for leaf in pytree.tree_leaves(found.fresh()(given)) if isinstance(leaf, Tensor)]
    if found.awkward.own_gradients:
        assert projection.own_gradients
        return
    (wanted,) = torch.autograd.grad(outputs[number][(0, *place)], given, materialize_grads=True)
    close(projection.on_image(), wanted[0], 1e-3)


@every_kind
def test_occlusions_are_those_of_whole_runs(name: str) -> None:
    found = case(name)
    target, number, place = found.target, found.number, found.place
    if found.awkward.is_random:
        with pytest.raises(InputError, match="random in evaluation"):
            found.net.occlude(found.image, target, window=4, stride=4, progress=False)
        return
    answer = found.net.occlude(found.image, target, window=5, stride=5, baseline=0, progress=False)
    for index, top in enumerate((0, 5, found.image.shape[2] - 5)):
        covered = found.image.clone()
        covered[:, :, top : top + 5, :5] = 0
        drop = found.outputs()[number][(0, *place)].double() - found.outputs(covered)[number][(0, *place)].double()
        scale = max(float(found.outputs()[number].double().abs().max()), 1e-3)
        assert float(answer.drop[index, 0]) == pytest.approx(float(drop), rel=1e-3, abs=1e-4 * scale)


def a_unit(case: Case) -> str:
    """A unit of the first row with maps, or of the first row."""
    return next(iter(units(case.net, case.image)), f"{next(iter(case.net.plan())).address}/0@0,0")


QUESTIONS: dict[str, Callable[[Case], Any]] = {
    "maps": lambda case: case.net.maps(case.image, progress=False),
    "plan of another size": lambda case: case.net.plan((case.awkward.shape[0], 24, 24)),
    "explain": lambda case: case.net.explain(case.image, a_unit(case)),
    "contributions": lambda case: case.net.contributions(case.image, a_unit(case).partition("@")[0]),
    "deconvnet": lambda case: case.net.project(case.image, case.target, progress=False),
    "guided": lambda case: case.net.project(case.image, case.target, "guided", progress=False),
    "sheet": lambda case: case.net.sheet(
        torch.cat([case.image, case.image.flip(3)]), a_unit(case).partition("/")[0], [0], 2, progress=False
    ),
    "occlusion's cost": lambda case: case.net.occlusion_cost(case.target, 4, 4),
    "pictures": lambda case: [layer.as_matrix((4, 4)) for layer in case.net.layers[:1]],
}


@pytest.mark.parametrize("question", QUESTIONS)
@every_kind
def test_every_question_is_answered_or_refused_and_leaves_the_module(name: str, question: str) -> None:
    found = case(name)
    before = model_state(found.module)
    answer = answered(lambda: QUESTIONS[question](found))
    assert answer is None or repr(answer)
    assert_same_state(before, model_state(found.module))
