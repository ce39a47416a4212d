"""The resolver: every form of an address finds its value, and every wrong one gets a helpful error, shown in full."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

import featmap as fm
from featmap.errors import (
    AddressError,
    AmbiguousAddress,
    NoSuchChannel,
    NoSuchLayer,
    NoSuchStage,
    UnitOutOfRange,
)
from featmap.network.address import Address
from support.tiny_modules import conv, written
from support.zoo_networks import zoo_network

LIST = "`featmap plan` lists all layers."


@pytest.mark.parametrize(
    ("name", "address", "key"),
    [
        ("resnet18", "layer1.0", "layer1.0:a"),
        ("resnet18", "layer1.0:z", "layer1.0:z"),
        ("resnet18", "layer1.0.conv1/3@1,2", "layer1.0.conv1:a"),
        ("resnet18", "layer1.0.bn1", "layer1.0.bn1:z"),
        ("resnet18", "layer1", "layer1:a"),
        ("resnet18", "maxpool", "maxpool:a"),
        ("resnet18", "fc:z/999", "fc:z"),
        ("squeezenet1_1", "features.3", "features.3:a"),
        ("inception_v3", "Mixed_5b.branch1x1", "Mixed_5b.branch1x1:a"),
        ("mobilenet_v2", "features.3.conv.3", "features.3.conv.3:z"),
        ("mobilenet_v2", "features.3", "features.3:z"),
        ("densenet121", "features.denseblock1.denselayer1.conv2", "features.denseblock1.denselayer1.conv2:z"),
    ],
)
def test_an_address_without_stage_means_the_activation_the_only_stage_or_the_modules_own_value(
    name: str, address: str, key: str
) -> None:
    place = zoo_network(name).net._captured.place(address)
    assert place.key == key
    assert zoo_network(name).net._captured.place(place.address) == place
    assert zoo_network(name).net._captured.place(Address.parse(address)) == place


@pytest.mark.parametrize(
    ("name", "address", "kind", "text"),
    [
        (
            "resnet18",
            "layer1.0.conv2",
            NoSuchStage,
            "'layer1.0.conv2' has no activation of its own: its maps are added to a shortcut first.\n\n"
            "Ask for layer1.0.conv2:z for its maps as they are, or layer1.0 for the sum after ReLU.",
        ),
        (
            "mobilenet_v2",
            "features.3:a",
            NoSuchStage,
            "'features.3' has no activation of its own: its maps go straight to 'features.4.conv.0.0' (conv2d).\n\n"
            "Ask for features.3:z for its maps as they are.",
        ),
        (
            "resnet18",
            "fc:a",
            NoSuchStage,
            "'fc' has no activation of its own: its value is what the network returns.\n\n"
            "Ask for fc:z for its maps as they are.",
        ),
        (
            "densenet121",
            "features.denseblock1.denselayer1.conv2:a",
            NoSuchStage,
            "'features.denseblock1.denselayer1.conv2' has no activation of its own: 6 operators read its maps "
            "('features.denseblock1.denselayer2.cat' (cat), 'features.denseblock1.denselayer3.cat' (cat), "
            "'features.denseblock1.denselayer4.cat' (cat), 'features.denseblock1.denselayer5.cat' (cat) and 2 more)."
            "\n\n"
            "Ask for features.denseblock1.denselayer1.conv2:z for its maps as they are.",
        ),
        (
            "resnet18",
            "layer1.0:conv",
            NoSuchStage,
            "'layer1.0' has no weighted sum of its own: it is a merge, not a convolution.\n\n"
            "Ask for layer1.0:z, its value as it is.",
        ),
        (
            "squeezenet1_1",
            "features.3:conv",
            NoSuchStage,
            "'features.3' has no weighted sum of its own: it is a merge, not a convolution.\n\n"
            "Ask for features.3:a, its value as it is.",
        ),
        (
            "squeezenet1_1",
            "features.3:z",
            NoSuchStage,
            "'features.3' has no pre-activation: it joins maps that are activations already.\n\nAsk for features.3:a.",
        ),
        (
            "resnet18",
            "maxpool:conv/3",
            NoSuchStage,
            "'maxpool:conv/3': 'maxpool' is a pool (max_pool2d); it has no weighted sum of its own.\n\n"
            "Ask for maxpool/3.",
        ),
        (
            "resnet18",
            "layer1.0.rel",
            NoSuchLayer,
            "'layer1.0.rel': the network has no layer 'layer1.0.rel'.\n\n"
            f"The nearest names are layer1.0.relu, layer4.0.relu, layer3.0.relu. {LIST}",
        ),
        ("resnet18", "qqqqqq:z", NoSuchLayer, f"'qqqqqq:z': the network has no layer 'qqqqqq'.\n\n{LIST}"),
        (
            "resnet18",
            "layer1.0.relu",
            AmbiguousAddress,
            "'layer1.0.relu' is called 2 times.\n\nSay which call: layer1.0.relu#1, layer1.0.relu#2.",
        ),
        (
            "resnet18",
            "layer1.0.relu#3",
            NoSuchLayer,
            "'layer1.0.relu#3': 'layer1.0.relu' is called 2 times, there is no #3.\n\n"
            "Ask for layer1.0.relu#1, layer1.0.relu#2.",
        ),
        (
            "resnet18",
            "conv1/64",
            NoSuchChannel,
            "'conv1:a/64': there is no channel 64; conv1:a has 64 feature maps.\n\nAsk for a channel from 0 to 63.",
        ),
        (
            "resnet18",
            "conv1:z/63@0,28",
            UnitOutOfRange,
            "'conv1:z/63@0,28': there is no unit at row 0, column 28; the feature map has 32 rows and 28 columns.\n\n"
            "Ask for a row from 0 to 31 and a column from 0 to 27.",
        ),
        (
            "resnet18",
            "conv1:z/63@32,0",
            UnitOutOfRange,
            "'conv1:z/63@32,0': there is no unit at row 32, column 0; the feature map has 32 rows and 28 columns.\n\n"
            "Ask for a row from 0 to 31 and a column from 0 to 27.",
        ),
    ],
)
def test_the_whole_text_of_every_error(name: str, address: str, kind: type[AddressError], text: str) -> None:
    with pytest.raises(AddressError) as caught:
        zoo_network(name).net._captured.place(address)
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert caught.value.exit_code == 2


def test_maps_that_are_joined_first_name_the_joined_maps() -> None:
    module = written(lambda self, x: functional.relu(torch.cat([self.c(x), x], 1)), c=conv())
    with pytest.raises(NoSuchStage) as caught:
        fm.trace(module, (3, 6, 5)).receptive_field("c:a")
    assert str(caught.value) == (
        "'c' has no activation of its own: its maps are joined with others first.\n\n"
        "Ask for c:z for its maps as they are, or cat for the joined maps after ReLU."
    )


def test_a_call_of_a_reused_module_is_named_with_its_number() -> None:
    module = written(lambda self, x: self.c(self.c(x)), c=conv(3, 3))
    with pytest.raises(NoSuchStage) as caught:
        fm.trace(module, (3, 6, 5)).receptive_field("c#1:a")
    assert str(caught.value) == (
        "'c#1' has no activation of its own: its maps go straight to 'c#2' (conv2d).\n\n"
        "Ask for c#1:z for its maps as they are."
    )


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v2", "densenet121"])
def test_what_an_error_about_a_stage_advises_is_an_address_that_is_found(name: str) -> None:
    resolver = zoo_network(name).net._captured.resolver
    for layer in resolver.layers:
        for stage in {"conv", "z", "a"} - set(layer.stages):
            with pytest.raises(NoSuchStage) as caught:
                resolver.place(f"{layer.name}:{stage}")
            advised = re.findall(r"(?:Ask for|, or) (\S+?)(?= for |,|\.$)", caught.value.remedy)
            assert advised
            for address in advised:
                assert resolver.place(address).layer is not None


@pytest.mark.parametrize("name", ["resnet18", "inception_v3"])
def test_describe_gives_an_address_that_means_the_same_value(name: str) -> None:
    captured = zoo_network(name).net._captured
    for node in captured.graph:
        if node.depends_on_input and not node.is_input:
            assert captured.place(captured.resolver.describe(node.index)).node == node.index


def test_a_value_made_of_weights_alone_has_no_maps() -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, torch.tanh(self.c.weight))

    net = fm.trace(written(forward, c=conv()), (3, 6, 5))
    with pytest.raises(NoSuchLayer) as caught:
        net.receptive_field("tanh")
    assert str(caught.value) == (
        f"'tanh': its value is made of weights only; it is not a feature map of an image.\n\n{LIST}"
    )
