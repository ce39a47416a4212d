"""Names of operator calls and module outputs: unique, and numbered where a name occurs more than once."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import featmap as fm
from featmap.errors import AmbiguousAddress, NoSuchLayer
from featmap.network.names import Names
from support.tiny_modules import conv, written

SHAPE = (3, 8, 7)


def names_of(module: nn.Module) -> dict[str, str]:
    """The printed name of every operator call and its operator, in order."""
    names, graph = network_names(module)
    return {names.text(names.operator[node.index]): node.base_name for node in graph if not node.is_input}


def network_names(module: nn.Module) -> tuple[Names, fm.Network]:
    captured = fm.trace(module, SHAPE)._captured
    return captured.names, captured.graph


def test_a_module_that_is_one_operator_gives_its_path_and_functions_get_that_of_their_caller() -> None:
    module = nn.Sequential(conv(), written(lambda self, x: functional.relu(self.inner(x)), inner=conv(4)))
    assert names_of(module) == {"0": "conv2d", "1.inner": "conv2d", "1.relu": "relu"}


def test_functions_at_the_top_have_the_operators_name() -> None:
    module = written(lambda self, x: torch.cat([functional.relu(self.c(x)), x], 1) + 1, c=conv())
    assert names_of(module) == {"c": "conv2d", "relu": "relu", "cat": "cat", "add": "add"}


def test_a_module_called_twice_is_numbered() -> None:
    module = written(lambda self, x: self.relu(self.d(self.relu(self.c(x)))), c=conv(), d=conv(4), relu=nn.ReLU())
    assert names_of(module) == {"c": "conv2d", "relu#1": "relu", "d": "conv2d", "relu#2": "relu"}


def test_functions_called_twice_are_numbered() -> None:
    module = written(lambda self, x: functional.relu(self.d(functional.relu(self.c(x)))), c=conv(), d=conv(4))
    assert names_of(module) == {"c": "conv2d", "relu#1": "relu", "d": "conv2d", "relu#2": "relu"}


def test_what_is_inside_a_block_called_twice_is_numbered() -> None:
    block = written(lambda self, x: functional.relu(self.conv(x)) + x, conv=conv(3, 3))
    module = written(lambda self, x: self.block(self.block(x)), block=block)
    assert names_of(module) == {
        "block.conv#1": "conv2d",
        "block.relu#1": "relu",
        "block.add#1": "add",
        "block.conv#2": "conv2d",
        "block.relu#2": "relu",
        "block.add#2": "add",
    }
    net = fm.trace(module, SHAPE)
    assert net.receptive_field("block#1:z").field.size == (3, 3)
    assert net.receptive_field("block#2:z").field.size == (5, 5)


def test_a_module_registered_under_two_names_has_the_one_it_was_called_by_and_is_counted_once() -> None:
    shared = conv(3, 3)
    module = written(lambda self, x: self.second(self.first(x)), first=shared, second=shared)
    net = fm.trace(module, SHAPE)
    assert names_of(module) == {"first": "conv2d", "second": "conv2d"}
    assert [row.parameters for row in net.plan()] == [3 * 3 * 9 + 3, 0]
    assert net.plan().totals.parameters == sum(parameter.numel() for parameter in shared.parameters())


def test_a_module_keeps_its_name_beside_functions_of_that_name() -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.d(self.relu(functional.relu(self.c(x)))))

    module = written(forward, c=conv(), d=conv(4), relu=nn.ReLU())
    assert names_of(module) == {"c": "conv2d", "relu_#1": "relu", "relu": "relu", "d": "conv2d", "relu_#2": "relu"}
    net = fm.trace(module, SHAPE)
    maps = net.maps(torch.randn(1, *SHAPE), ["c:a", "d:a"])
    assert torch.equal(maps["relu_#1"].values, maps["c:a"].values)
    assert torch.equal(maps["relu_#2"].values, maps["d:a"].values)


@pytest.mark.parametrize("name", ["rgb", "cat", "conv2d", "add", "relu", "mean", "rgb_"])
def test_a_modules_name_means_the_module_beside_inputs_and_functions_of_that_name(name: str) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(name, conv())

        def forward(self, rgb: torch.Tensor) -> torch.Tensor:
            made = torch.relu(getattr(self, name)(rgb))
            made = torch.cat([functional.conv2d(made, torch.ones(1, 4, 1, 1)), made + 1], 1)
            return made - made.mean((2, 3), keepdim=True)

    module, image = Named().eval(), torch.rand(1, *SHAPE)
    net = fm.trace(module, SHAPE)
    assert name in {row.address for row in net.plan()}
    with torch.no_grad():
        right = module.get_submodule(name)(image)
    (found,) = net.maps(image, [f"{name}:z"], progress=False).values()
    assert torch.allclose(found.values, right, atol=1e-6)
    names = net._captured.names
    (values,) = [values for call, values in names.values.items() if call.path == name]
    assert [names.operator[index].path for index in values] == [name]
    assert len(set(names.operator.values())) == len(names.operator) == len(net._captured.graph)


def test_an_input_and_functions_do_not_share_a_name_either() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = conv()

        def forward(self, add: torch.Tensor) -> torch.Tensor:
            return self.c(add + 1) + 1

    names, graph = network_names(Named())
    assert [names.text(names.operator[node.index]) for node in graph] == ["add", "add_#1", "c", "add_#2"]


def test_a_function_with_the_other_name_of_a_module_does_not_take_it() -> None:
    shared = nn.ReLU()
    module = written(lambda self, x: functional.relu(self.c(self.act(x))), act=shared, relu=shared, c=conv())
    assert names_of(module) == {"act": "relu", "c": "conv2d", "relu_": "relu"}
    net = fm.trace(module, SHAPE)
    assert net._captured.place("relu").node == net._captured.place("act").node


def test_an_input_with_the_name_of_a_module_does_not_take_its_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = conv()

        def forward(self, stem: torch.Tensor) -> torch.Tensor:
            return self.stem(stem)

    names, graph = network_names(Named())
    assert [names.text(names.operator[node.index]) for node in graph] == ["stem_", "stem"]


def test_a_call_whose_value_nobody_reads_keeps_its_number_and_has_no_value() -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        self.relu(x)
        return self.relu(self.c(x))

    net = fm.trace(written(forward, c=conv(), relu=nn.ReLU()), SHAPE)
    assert net._captured.place("relu").node == net._captured.place("c:a").node
    assert net.receptive_field("relu#2").field.size == (3, 3)
    with pytest.raises(NoSuchLayer) as caught:
        net.receptive_field("relu#1")
    assert str(caught.value) == "'relu#1': 'relu' is called 1 time, there is no #1.\n\nAsk for relu#2."


def test_a_module_that_changes_nothing_names_the_value_that_passes_through() -> None:
    net = fm.trace(nn.Sequential(conv(), nn.Dropout(), nn.ReLU()), SHAPE)
    assert net._captured.place("1").node == net._captured.place("0:z").node


def test_a_module_names_the_value_that_it_returns() -> None:
    block = written(lambda self, x: functional.relu(self.conv(x) + x), conv=conv(3, 3))
    module = written(lambda self, x: self.head(self.block(x)), block=block, head=conv())
    names, graph = network_names(module)
    (value,) = [indices for name, indices in names.values.items() if name.path == "block"]
    assert [graph[index].base_name for index in value] == ["relu"]


def test_a_module_that_returns_several_values_names_none_of_them() -> None:
    block = written(lambda self, x: (self.left(x), self.right(x)), left=conv(), right=conv())
    net = fm.trace(written(lambda self, x: sum(self.block(x)), block=block), SHAPE)
    with pytest.raises(AmbiguousAddress) as caught:
        net.receptive_field("block")
    assert str(caught.value) == "'block' returns 2 values.\n\nName one of them: block.left, block.right."


@pytest.mark.parametrize("kind", ["module", "function", "both"])
def test_every_name_is_unique_and_every_printed_name_is_found(kind: str) -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.c, self.d, self.d):
            x = layer(x)
            x = functional.relu(x) if kind != "module" else self.relu(x)
            x = self.relu(x - 1) if kind == "both" else x
        return x

    net = fm.trace(written(forward, c=conv(), d=conv(4), relu=nn.ReLU()), SHAPE)
    names, resolver = net._captured.names, net._captured.resolver
    assert len(set(names.operator.values())) == len(names.operator)
    for index, name in names.operator.items():
        text = names.text(name)
        layer = resolver.by_call.get(name)
        place = resolver.place(f"{text}:{layer.last_stage}" if layer else text)
        assert place.node in (index, *(layer.nodes if layer else ()))
