"""`featmap plan`: how big is every map of a network, what does it cost, what can it see?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featmap.cli.common import Json, answers, print_json
from featmap.cli.model import Input, Model, Trust, Weights, load_model, shape

if TYPE_CHECKING:
    from featmap.methods.plan import Plan

EXAMPLES = (
    ("Every layer of ResNet-50:", "featmap plan torchvision:resnet50"),
    ("At another input size:", "featmap plan torchvision:resnet50 --input 3x448x448"),
    ("A network of your own:", "featmap plan mypackage.models:build --input 1x28x28"),
)


def command(
    model: Model,
    weights: Weights = None,
    input: Input = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Shapes, parameters, multiply-adds, receptive fields and memory of every layer. Nothing is run."""
    from featmap.methods.plan import PartialPlan

    network = load_model(model, weights, None, trust=trust) if _has_own_shape(model) else None
    try:
        plan = network.plan(shape(input)) if network else load_model(model, weights, input, trust=trust).plan()
    except PartialPlan as refusal:
        if not as_json:
            _print(refusal.plan)
        raise
    if as_json:
        print_json(plan.to_json())
    else:
        _print(plan)


def _has_own_shape(model: str) -> bool:
    """Whether the model brings an input shape, so that another one can be asked of it without building it for that."""
    return model.startswith(("torchvision:", "timm:")) or model.endswith(".pt2")


def _print(plan: Plan) -> None:
    from featmap.view.results import print_to

    print_to(answers(), plan)
