"""`featmap plan`: size, cost and receptive field of every layer of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from typer import Option

from featmap.cli.options import parse
from featmap.cli.options.common import Json, answers, print_json
from featmap.cli.options.model import Model, ModelOptions
from featmap.errors import SettingError

if TYPE_CHECKING:
    from featmap.api import Network
    from featmap.methods.plan import Plan

EXAMPLES = (
    ("Every layer of ResNet-50:", "featmap plan torchvision:resnet50"),
    ("At another input size:", "featmap plan torchvision:resnet50 --input 3x448x448"),
    ("A network of your own:", "featmap plan mypackage.models:build --input 1x28x28"),
)


def command(
    model: Model,
    *,
    options: ModelOptions,
    cost: Annotated[
        str | None,
        Option(metavar="occlusion", help="Instead: what an [bold]occlusion[/bold] would recompute per layer."),
    ] = None,
    window: Annotated[str, Option(metavar="PIXELS", help="With --cost: the window.")] = "16",
    stride: Annotated[str, Option(metavar="PIXELS", help="With --cost: from one window to the next.")] = "8",
    as_json: Json = False,
) -> None:
    """Shapes, parameters, multiply-adds, receptive fields and memory of every layer. Nothing is run."""
    if cost is not None:
        network = options.load(model)
        _cost(network, cost, parse.pair(window, "--window"), parse.pair(stride, "--stride"), as_json=as_json)
        return
    from featmap.methods.plan import PartialPlan
    from featmap.view.results.network import print_rows_to, print_to

    try:
        plan = _planned(model, options)
    except PartialPlan as refusal:
        if not as_json:
            print_rows_to(answers(), refusal.plan)
        raise
    if as_json:
        print_json(plan.to_dict())
    else:
        print_to(answers(), plan)


def _planned(model: str, options: ModelOptions) -> Plan:
    """The plan at the wanted input shape. Raises: PartialPlan: where a layer cannot take it, with the rows up to there.

    Pictures are fitted to the shape that a network is loaded with, so it is loaded with the wanted one.
    """
    from featmap.errors import CaptureRefused, InputError

    wanted = options.shape
    try:
        return options.load(model).plan()
    except (CaptureRefused, InputError, SettingError):
        if wanted is not None:
            _resize(model, options, wanted)
        raise


def _resize(model: str, options: ModelOptions, wanted: tuple[int, ...]) -> None:
    """Raises PartialPlan or InputError where the network, made for its own input shape, does not fit the wanted one."""
    from featmap.errors import QuestionError

    try:
        network = replace(options, input=None).load(model)
    except QuestionError:
        return
    network.plan(wanted)


def _cost(network: Network, cost: str, window: tuple[int, int], stride: tuple[int, int], *, as_json: bool) -> None:
    """The cost of an occlusion."""
    from featmap.view.results.network import print_to

    if cost != "occlusion":
        raise SettingError(f"There is no cost '{cost}'.", "Write --cost occlusion.")
    answer = network.occlusion_cost(window=window, stride=stride)
    if as_json:
        print_json(answer.to_dict())
    else:
        print_to(answers(), answer)
