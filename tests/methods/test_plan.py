"""Plans: numbers that can be checked by hand, shared, unused and unknown parts, and the names of the data."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import InputError
from featmap.methods.plan import MAC_CONVENTION, PartialPlan
from featmap.testing.oracles import brute_force_macs
from support.tiny_modules import conv, written
from support.zoo_networks import zoo_network

SHAPE = (3, 8, 7)


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("alexnet", 61_100_840, 714_188_480),
        ("vgg16", 138_357_544, 15_470_264_320),
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("mobilenet_v2", 3_504_872, 300_774_272),
    ],
)
def test_the_known_totals(name: str, parameters: int, macs: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        totals = fm.load(f"torchvision:{name}").plan().totals
    assert (totals.parameters, totals.macs) == (parameters, macs)
    assert (totals.unused_parameters, totals.unknown_macs) == (0, ())


def test_the_first_layer_of_vgg16() -> None:
    plan = fm.load("torchvision:vgg16").plan()
    row = plan["features.0"]
    assert row.input_shape == (3, 224, 224)
    assert row.output_shape == (64, 224, 224)
    assert row.feature_maps == 64
    assert row.parameters == 64 * 27 + 64
    assert row.macs == 64 * 224 * 224 * 27
    assert row.details == "3 x 3, padding 1, relu"
    assert row.stages == ("conv", "z", "a")
    assert sum(found.operator == "conv2d" for found in plan) == 13
    assert [found.address for found in plan][-3:] == ["classifier.0", "classifier.3", "classifier.6"]
    assert plan["classifier.0"].input_shape == (25_088,)
    assert plan["classifier.0"].receptive_field.size == (224, 224)


CONVOLUTIONS = {
    "plain": nn.Conv2d(3, 6, 3),
    "grouped": nn.Conv2d(3, 6, (3, 2), groups=3, stride=2),
    "dilated": nn.Conv2d(3, 6, 2, dilation=3, padding=1),
    "transposed": nn.ConvTranspose2d(3, 6, 3, stride=2),
    "transposed and grouped": nn.ConvTranspose2d(3, 6, (2, 3), groups=3, output_padding=0, padding=1),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_multiply_adds_are_those_of_a_brute_force_count(case: str) -> None:
    convolution = CONVOLUTIONS[case]
    image = torch.zeros(1, *SHAPE)
    with torch.no_grad():
        output = convolution(image)
    expected = brute_force_macs(
        convolution.weight.detach(), output, image, transposed=isinstance(convolution, nn.ConvTranspose2d)
    )
    plan = fm.trace(nn.Sequential(convolution, nn.ReLU()), SHAPE).plan()
    assert plan.totals.macs == plan["0"].macs == expected


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "densenet121", "mobilenet_v2"])
def test_totals_are_the_sums_of_the_rows(name: str) -> None:
    zoo = zoo_network(name)
    plan = zoo.net.plan()
    assert plan.totals.parameters == sum(parameter.numel() for parameter in zoo.module.parameters())
    assert plan.totals.parameters == sum(row.parameters for row in plan)
    assert plan.totals.macs == sum(row.macs or 0 for row in plan)
    assert plan.totals.activation_bytes == sum(row.activation_bytes for row in plan)
    assert plan.totals.peak_bytes < plan.totals.activation_bytes


def test_weights_that_evaluation_never_touches_are_told_apart() -> None:
    module = written(lambda self, x: self.c(x), c=conv(), auxiliary=nn.Linear(5, 7))
    totals = fm.trace(module, SHAPE).plan().totals
    assert totals.parameters == 112 + 42
    assert totals.unused_parameters == 42
    totals = fm.load("torchvision:googlenet").plan().totals
    # torchvision's googlenet brings two auxiliary classifiers, which only training runs.
    assert totals.unused_parameters > 6_000_000


def test_shared_weights_are_counted_once() -> None:
    module = written(lambda self, x: self.c(self.c(x)), c=conv(3, 3))
    plan = fm.trace(module, SHAPE).plan()
    assert [(row.address, row.parameters) for row in plan] == [("c#1", 84), ("c#2", 0)]
    assert plan.totals.parameters == 84
    assert plan.totals.macs == 2 * 3 * 27 * 56


def test_weights_outside_of_layers_have_a_row() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.gamma = conv(), nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.c(x) * self.gamma.exp()

    plan = fm.trace(Scaled(), SHAPE).plan()
    assert [(row.address, row.parameters) for row in plan] == [("c", 112), ("mul", 4)]


def test_an_unknown_operator_is_whole_and_named_and_its_cost_is_said_to_be_unknown() -> None:
    module = written(lambda self, x: self.d(torch.matrix_exp(self.c(x)[:, :, :7])), c=conv(), d=conv(4))
    plan = fm.trace(module, SHAPE).plan()
    assert plan.unknown_operators == ("aten.matrix_exp.default",)
    row = plan["matrix_exp"]
    assert row.macs is None
    assert row.details == "unknown operator, treated as reading the whole map"
    assert row.receptive_field.status == "whole"
    assert plan["d"].receptive_field.status == "whole"
    assert plan["d"].receptive_field.size == (8, 7)
    assert plan["c"].receptive_field.status == "exact"
    assert plan.totals.unknown_macs == ("matrix_exp",)
    assert plan.totals.macs == 4 * 27 * 56 + 4 * 36 * 7 * 7
    data = plan.to_dict()
    assert data["totals"]["macs_unknown_for"] == ["matrix_exp"]
    assert data["operators_treated_as_whole"] == ["aten.matrix_exp.default"]
    assert "aten.matrix_exp.default" in str(plan)
    assert "matrix_exp" in str(plan).split("MACs unknown")[1]


def test_the_names_of_the_data() -> None:
    plan = fm.trace(nn.Sequential(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(224, 2)), SHAPE).plan()
    data = json.loads(json.dumps(plan.to_dict()))
    assert list(data) == [
        "model", "input_shape", "layers", "totals", "macs_convention", "preprocessing", "operators_treated_as_whole",
        "random_operators", "joined_images", "batch_statistics", "written_state",
        "weights",
    ]  # fmt: skip
    assert set(data["totals"]) >= {"parameters", "macs", "activation_bytes", "peak_bytes"}
    assert data["macs_convention"] == MAC_CONVENTION
    assert data["input_shape"] == [3, 8, 7]
    assert data["layers"][0] == {
        "address": "0",
        "operator": "conv2d",
        "details": "3 x 3, padding 1, relu",
        "input_shape": [3, 8, 7],
        "output_shape": [4, 8, 7],
        "feature_maps": 4,
        "parameters": 112,
        "macs": 4 * 27 * 56,
        "receptive_field": {
            "size": [3, 3],
            "stride": [1, 1],
            "offset": [-1, -1],
            "steps": [None, None],
            "status": "exact",
        },
        "stages": ["conv", "z", "a"],
        "activation_bytes": 2 * 4 * 4 * 56,
    }
    assert data["layers"][1]["output_shape"] == [2]
    assert data["layers"][1]["input_shape"] == [224]
    assert data["layers"][1]["receptive_field"]["status"] == "whole"


def test_a_plan_is_a_table() -> None:
    plan = zoo_network("resnet18").net.plan()
    frame = plan.to_pandas()
    assert len(frame) == len(plan) == len(plan.layers)
    assert frame["macs"].sum() == plan.totals.macs
    assert frame.loc[0, "stages"] == "conv z a"
    assert frame.loc[0, "receptive_field_size"] == [7, 7]
    with pytest.raises(KeyError, match=r"'no\.such\.row' is not a row of this plan"):
        plan["no.such.row"]


def test_a_plan_without_weights_makes_none() -> None:
    net = fm.load("torchvision:regnet_y_400mf", input_shape=(3, 64, 64))
    plan = net.plan()
    assert plan.totals.parameters == 4_344_144
    assert net._captured.tensors._tensors is None


def test_an_own_input_size() -> None:
    zoo = zoo_network("resnet18")
    assert zoo.net.plan(zoo.shape).to_dict() == zoo.net.plan().to_dict()
    plan = zoo.net.plan((3, 97, 50))
    with torch.no_grad():
        output = zoo.module.conv1(torch.zeros(1, 3, 97, 50))
    assert plan["conv1"].output_shape == tuple(output.shape[1:])
    assert plan.input_shape == (3, 97, 50)


def test_the_table_goes_as_far_as_the_size_does() -> None:
    module = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(224, 5), nn.Linear(5, 2))
    net = fm.trace(module, SHAPE)
    with pytest.raises(PartialPlan) as caught:
        net.plan((3, 8, 8))
    part = caught.value.plan
    assert isinstance(caught.value, InputError)
    assert [row.address for row in part] == ["0"]
    assert part.totals.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert part.totals.unused_parameters == 0
    assert part.totals.macs == 4 * 27 * 64
    assert part["0"].output_shape == (4, 8, 8)
    json.dumps(part.to_dict())
    str(part)


def test_dictionaries_and_keywords_are_planned() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.fc = conv(), nn.Linear(5, 4)

        def forward(self, *, batch: dict[str, Tensor], scale: int) -> dict[str, Tensor]:
            maps = functional.relu(self.c(batch["image"]) * scale)
            return {"maps": maps, "sum": maps.sum((2, 3)) + self.fc(batch["vector"])}

    batch = {"vector": torch.rand(1, 5), "image": torch.rand(1, *SHAPE)}
    plan = fm.trace(Two(), kwargs={"scale": 3, "batch": batch}).plan()
    assert [row.address for row in plan] == ["c", "mul", "relu", "sum", "fc", "add"]
    assert plan.input_shape == SHAPE
    assert plan.totals.macs == 4 * 27 * 56 + 20


@pytest.mark.parametrize("shape", [(1, 9, 14), (3, 14, 9), (5, 9, 14)])
def test_no_square_no_three_channels(shape: tuple[int, int, int]) -> None:
    module = nn.Sequential(nn.Conv2d(shape[0], 2, (3, 5)), nn.MaxPool2d((2, 3)))
    with torch.no_grad():
        output = module(torch.zeros(1, *shape))
    plan = fm.trace(module, shape).plan()
    assert plan.layers[-1].output_shape == tuple(output.shape[1:])
    assert plan["0"].input_shape == shape


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (self.c(a) - self.c(b)).abs().mean((2, 3))


def test_what_sees_nothing_of_the_image_has_no_receptive_field() -> None:
    net = fm.trace(Two(), inputs=(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)))
    plan = net.plan()
    assert plan["c#1"].receptive_field is not None
    assert plan["c#2"].receptive_field is None
    assert "none" in str(plan)
    for address in ("c#2:z", "c#2:z/0@3,3"):
        with pytest.raises(InputError, match=f"'{address}' sees nothing of the image: it is made of the input 'b'."):
            net.receptive_field(address)
