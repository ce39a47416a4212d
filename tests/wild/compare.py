"""One foreign network against its own module: every module's output, planned shapes, unit boxes, and the module itself.

What a module gives is seen by forward hooks on the running module, never by featmap's graph. A unit's box is checked by
its definition: every pixel outside is replaced, and the unit must keep its value.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import featmap as fm
from featmap.errors import FeatmapError
from wild.networks import Wild

TOLERANCE = 1e-4
"""The largest difference, as a share of the largest value, that counts as rounding in float32."""

VANISHING = 1e-30
"""Differences below it are of values that have lost their digits in float32 on the way."""

UNITS = 6
"""How many units' boxes are checked per network."""

CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
Calls = dict[str, list[Tensor]]


@dataclass
class Row:
    """What was found about one network; `refused` or `failed` says why there is nothing else."""

    package: str
    name: str
    refused: str = ""
    failed: str = ""
    layers: int = 0
    convolutions: int = 0
    without_maps: int = 0
    outputs: int = 0
    shapes: int = 0
    boxes: int = 0
    largest_difference: float = 0.0
    differences: list[str] = field(default_factory=list[str])

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def compare(wild: Wild) -> Row:
    """The row of one network.

    Untrained weights let some networks' values vanish, down to where float32 has no digits left: those are compared
    once more in float64, and what differs there counts.
    """
    warnings.simplefilter("ignore")
    row = _compared(wild, torch.float32)
    if row.differences and row.largest_difference < VANISHING:
        row = _compared(wild, torch.float64)
    return row


def _compared(wild: Wild, dtype: torch.dtype) -> Row:
    row = Row(wild.package, wild.name)
    try:
        module, untouched = _built(wild).to(dtype), _built(wild).to(dtype)
    except Exception as error:
        row.failed = f"is not built by this version of its package: {_said(error)}"
        return row
    inputs, keywords = wild.image().to(dtype), {name: make() for name, make in wild.others.items()}
    try:
        # Another module of the same weights, since what a first run leaves behind would hide what tracing leaves.
        calls, before = outputs_of(untouched, inputs, keywords), _state(module)
    except Exception as error:
        row.failed = f"does not run by itself: {_said(error)}"
        return row
    try:
        net = fm.trace(module, inputs=(inputs,), kwargs=keywords)
        _fill(row, net, module, calls, inputs, keywords)
    except FeatmapError as refusal:
        row.refused = _said(refusal)
    except Exception as error:
        row.differences.append(f"crash, {type(error).__name__}: {_said(error)}")
    _check_module(row, module, before, calls, lambda: outputs_of(module, inputs, keywords))
    return row


def _built(wild: Wild) -> nn.Module:
    """The module with the same weights every time."""
    torch.manual_seed(0)
    return wild.build().eval()


def outputs_of(module: nn.Module, inputs: Tensor, keywords: dict[str, Any]) -> Calls:
    """What every call of a module without children returns, by path, and the whole network's tensors under ''."""
    found: defaultdict[str, list[Tensor]] = defaultdict(list)

    def hook_of(path: str) -> Callable[..., None]:
        def hook(part: nn.Module, given: Any, output: Any) -> None:
            # A copy: the model's own code may still write into the value. What is no tensor is held by no map.
            found[path].append(output.clone() if isinstance(output, Tensor) else torch.empty(0))

        return hook

    leaves = [(path, part) for path, part in module.named_modules() if path and not list(part.children())]
    handles = [part.register_forward_hook(hook_of(path)) for path, part in leaves]
    try:
        # Noise that a network draws is the same in every run.
        torch.manual_seed(3)
        with torch.no_grad():
            answer = module(inputs, **keywords)
        found[""] = [leaf.clone() for leaf in tree_leaves(answer) if isinstance(leaf, Tensor)]
    finally:
        for handle in handles:
            handle.remove()
    return dict(found)


def _fill(row: Row, net: fm.Network, module: nn.Module, calls: Calls, image: Tensor, keywords: dict[str, Any]) -> None:
    row.layers = len(net.layers)
    parts, plan = dict(module.named_modules()), net.plan()
    calls = _apart(calls, plan.joined_images)
    wanted = {
        address: (path, number)
        for path, outputs in calls.items()
        if path
        for number in range(len(outputs))
        if (address := _address(net, parts[path], path, number, len(outputs)))
    }
    planned = {entry.address: entry.output_shape for entry in plan}
    for address, (path, number) in wanted.items():
        _compare(row, net, parts[path], address, calls[path][number], image, planned)
    _check_boxes(row, net, module, parts, wanted, calls, image, keywords, plan.joined_images)


def _apart(calls: Calls, joined: Mapping[str, int]) -> Calls:
    """The outputs of modules that are called once for several images joined along the batch, one of each image."""
    found = dict(calls)
    for path, outputs in calls.items():
        counts = [count for outer, count in joined.items() if f"{path}.".startswith(f"{outer}.")]
        if counts and all(output.ndim and output.shape[0] == counts[0] for output in outputs):
            found[path] = [part for output in outputs for part in output.split(1)]
    return found


def _address(net: fm.Network, part: nn.Module, path: str, number: int, count: int) -> str | None:
    """The address of a module's call; None where it has none of its own, or its call returns several values."""
    address = path if count == 1 else f"{path}#{number + 1}"
    stages = {layer.address: layer.stages for layer in net.layers}.get(address, ())
    # A layer has the name of the module that begins it; what that module itself returns is its first stage.
    first = stages[0] if stages else "conv" if isinstance(part, (*CONVOLUTIONS, nn.Linear)) else ""
    address += f":{first}" if first else ""
    try:
        net.receptive_field(address)
    except FeatmapError:
        return None
    return address


def _compare(
    row: Row, net: fm.Network, part: nn.Module, address: str, right: Tensor, image: Tensor, planned: dict[str, Any]
) -> None:
    if isinstance(part, CONVOLUTIONS):
        row.convolutions += 1
    if not right.numel():
        return
    torch.manual_seed(3)
    (found,) = net.maps(image, address, progress=False).values()
    values = found.values
    if values.shape != right.shape:
        if isinstance(part, CONVOLUTIONS):
            row.without_maps += 1
        elif right.ndim == 4 and values.shape == right.movedim(-1, 1).shape:
            right = right.movedim(-1, 1)
    name = address.partition(":")[0]
    if name in planned:
        row.shapes += 1
        # Where the first axis holds windows or tokens, not images, it is a part of the shape.
        if tuple(planned[name]) not in (tuple(right.shape[1:]), (right.shape[-1], *right.shape[1:-1]), right.shape):
            row.largest_difference = float("inf")
            row.differences.append(f"{address}: planned as {planned[name]}, is {tuple(right.shape[1:])}")
    if values.shape == right.shape and right.is_floating_point():
        row.outputs += 1
        is_square = right.ndim == 4 and right.shape == right.movedim(-1, 1).shape
        if not (_close(values, right) or (is_square and _close(values, right.movedim(-1, 1)))):
            difference = float((values - right).abs().max())
            row.largest_difference = max(row.largest_difference, difference)
            row.differences.append(f"{address}: maps differ by {difference:.3g}")


def _close(found: Tensor, right: Tensor) -> bool:
    scale = float(right.detach().nan_to_num().abs().max()) or 1.0
    return torch.allclose(found.to(right.dtype), right, rtol=0, atol=TOLERANCE * scale, equal_nan=True)


def _check_boxes(
    row: Row,
    net: fm.Network,
    module: nn.Module,
    parts: dict[str, nn.Module],
    wanted: dict[str, tuple[str, int]],
    calls: Calls,
    image: Tensor,
    keywords: dict[str, Any],
    joined: Mapping[str, int],
) -> None:
    chosen = random.Random(0)
    convolutions = [(address, place) for address, place in wanted.items() if isinstance(parts[place[0]], CONVOLUTIONS)]
    for address, (path, number) in chosen.sample(convolutions, min(UNITS, len(convolutions))):
        right = calls[path][number]
        if right.ndim != len(parts[path].kernel_size) + 2:  # type: ignore[arg-type]
            continue
        channel, *unit = (chosen.randrange(size) for size in right.shape[1:])
        asked = f"{address}/{channel}@{','.join(map(str, unit))}"
        try:
            box = net.receptive_field(asked).box
        except FeatmapError:
            # Counted already: a convolution without maps has no such unit.
            continue
        assert box is not None
        other = torch.rand(image.shape, generator=torch.Generator().manual_seed(row.boxes + 5)).to(image)
        other[(..., *box.slices)] = image[(..., *box.slices)]
        changed = _apart(outputs_of(module, other, keywords), joined)[path][number][(0, channel, *unit)]
        row.boxes += 1
        kept = float(right[(0, channel, *unit)])
        if abs(float(changed) - kept) > TOLERANCE * (float(right.abs().max()) or 1.0):
            row.largest_difference = float("inf")
            row.differences.append(f"{asked}: pixels outside {box} change it")


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _check_module(row: Row, module: nn.Module, before: dict[str, Tensor], calls: Calls, again: Any) -> None:
    try:
        after, outputs = _state(module), again()
        copy.deepcopy(module)
    except Exception as error:
        row.differences.append(f"the module does not work any more, {type(error).__name__}: {_said(error)}")
        return
    same = before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    same = same and all(
        type(now) is Tensor and _close(now, then) for now, then in zip(outputs[""], calls[""], strict=True)
    )
    if not same:
        row.differences.append("the module is another after it was traced")


def _said(error: BaseException) -> str:
    """The first line of an error, in one cell of a table."""
    text = (str(error).strip() or type(error).__name__).split("\n")[0]
    return " ".join(text.split()).replace("|", "/")[:200]
