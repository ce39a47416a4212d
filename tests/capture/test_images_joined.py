"""Images that a model joins along the batch: each has its own maps, equal to what the module computes for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

import featmap as fm
from featmap.errors import AmbiguousAddress
from featmap.run.batches import run_batches

SHAPE = (3, 12, 10)


class Joined(nn.Module):
    """A convolution and what follows it, on images that `join` makes of one; `take` makes the output."""

    def __init__(self, join: Callable[[Tensor], Tensor], take: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.join, self.take = join, take
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout())
        self.last = nn.Sequential(nn.Conv2d(4, 5, 2), nn.ReLU())

    def forward(self, x: Tensor) -> Any:
        return self.take(self.last(max_pool2d(self.body(self.join(x)), 2)))


def made(join: Callable[[Tensor], Tensor], take: Callable[[Tensor], Any]) -> Joined:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = Joined(join, take).eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.copy_(torch.linspace(-0.2, 0.2, 4))  # type: ignore[union-attr]
    return module


def turned(x: Tensor) -> Tensor:
    return x.flip(3)


JOINS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "cat": (lambda x: torch.cat([x, turned(x)]), 2),
    "cat of three": (lambda x: torch.cat([x, turned(x), x * 2], dim=0), 3),
    "cat of a cat": (lambda x: torch.cat([torch.cat([x, turned(x)]), x + 1]), 3),
    "joined, then changed": (lambda x: torch.cat([x, turned(x)]) * 0.5 + 1, 2),
    "stack and flatten": (lambda x: torch.stack([x, turned(x)]).flatten(0, 1), 2),
    "stack and view": (lambda x: torch.stack([x, turned(x)]).view(-1, 3, 12, 10), 2),
    "repeat": (lambda x: x.repeat(3, 1, 1, 1), 3),
    "expand": (lambda x: x.expand(2, -1, -1, -1), 2),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, dim=0), 2),
}
TAKES: dict[str, Callable[[Tensor], Any]] = {
    "as it is": lambda y: y,
    "mean over images": lambda y: y.mean(0, keepdim=True),
    "chunk": lambda y: y.chunk(len(y))[0] - y.chunk(len(y))[1],
    "split": lambda y: torch.split(y, [1, len(y) - 1])[1],
    "slices": lambda y: y[:1] * y[1:2],
    "every other": lambda y: y[::2],
    "index": lambda y: y[0] + y[1],
    "unbind": lambda y: torch.stack(y.unbind(0)[:2], 1),
    "view": lambda y: y.view(len(y), 1, *y.shape[1:]).amax(0),
    "unflatten and unbind": lambda y: y.unflatten(0, (len(y), 1)).unbind(0)[1],
    "flat": lambda y: y.flatten(1),
    "batch turned": lambda y: y.flip(0),
}


def both(join: str, take: str) -> tuple[Joined, fm.Network, Tensor, int]:
    way, count = JOINS[join]
    module = made(way, TAKES[take])
    with torch.random.fork_rng():
        torch.manual_seed(2)
        image = torch.rand(1, *SHAPE)
    return module, fm.trace(module, SHAPE), image, count


def inside(module: Joined, part: nn.Module, image: Tensor) -> Tensor:
    """What a part of the module returns when the module runs."""
    found: list[Tensor] = []
    keep: Any = lambda *given: found.append(given[-1])  # noqa: E731
    handle = part.register_forward_hook(keep)
    module(image)
    handle.remove()
    return found[0]


def numbers(net: fm.Network, path: str) -> list[int]:
    """The calls of a layer that stand in the network."""
    found = [row.address for row in net.plan() if row.address.split("#")[0] == path]
    return [int(address.partition("#")[2] or 0) for address in found]


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("join", JOINS)
def test_every_image_has_its_maps(join: str, take: str) -> None:
    module, net, image, count = both(join, take)
    for part, address, maps in ((module.body[0], "body.0", 4), (module.last[0], "last.0", 5)):
        values, calls = inside(module, part, image), numbers(net, address)
        assert calls in ([*range(1, count + 1)], [0], [1, 2], [1, 3], [2, 3])
        for number in calls:
            asked = f"{address}#{number}:conv" if number else f"{address}:conv"
            # A single one is not numbered: it is that which the output needs.
            image_number = number or {"split": 2, "unflatten and unbind": 2}.get(take, 1)
            found = net.maps(image, asked)
            (only,) = found.values()
            assert only.values.shape[1] == maps
            close(only.values, values[image_number - 1 : image_number].detach())


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("join", JOINS)
def test_the_output_is_the_modules(join: str, take: str) -> None:
    module, net, image, _ = both(join, take)
    captured = net._captured  # pyright: ignore[reportPrivateUsage]
    (output,) = captured.graph.outputs
    assert output is not None
    with torch.no_grad():
        close(run_batches(captured, image, [output])[output], module(image))


@pytest.mark.parametrize("take", TAKES)
def test_several_images_at_once_are_each_their_own(take: str) -> None:
    _, net, image, _ = both("cat", take)
    images = torch.cat([image, image * 0.3, image.flip(2)])
    address = next(row.address for row in net.plan() if row.address.startswith("last.0"))
    together = net.maps(images, address)
    for number in range(3):
        alone = net.maps(images[number : number + 1], address)
        (one,), (all_of_them,) = alone.values(), together.values()
        close(all_of_them.values[number : number + 1], one.values)


@pytest.mark.parametrize("join", ["cat", "stack and flatten", "joined, then changed"])
def test_fields_explanations_and_occlusions_are_of_one_image(join: str) -> None:
    module, net, image, _ = both(join, "chunk")
    wanted = image.clone().requires_grad_()
    values = inside(module, module.body[0], wanted)
    for number in (1, 2):
        (gradient,) = torch.autograd.grad(values[number - 1, 2, 3, 1], wanted, retain_graph=True)
        box = net.receptive_field(f"body.0#{number}:conv/2@3,1")
        rows, columns = gradient[0].abs().sum(0).nonzero().T
        assert box.status == "exact"
        seen = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
        assert box.box is not None
        assert (box.box.top, box.box.left, box.box.bottom, box.box.right) == seen
        told = net.explain(image, f"body.0#{number}:z/2@3,1")
        assert told.value == pytest.approx(
            float(inside(module, module.body[1], image)[number - 1, 2, 3, 1].detach()), abs=1e-5
        )
        drops = net.occlude(image, f"body.0#{number}:z/2@3,1", window=3, stride=3, verify=4)
        assert drops.drop.shape == (4, 4)


def test_a_bare_name_is_the_first_image_and_the_plan_says_so() -> None:
    _, net, image, _ = both("cat", "chunk")
    plan = net.plan()
    assert plan["body.0"] is plan["body.0#1"]
    assert plan["body.0"].feature_maps == 4
    assert plan.joined_images == {"body": 2, "last": 2}
    assert "body is called once for 2 images joined along the batch, which are its calls #1 to #2" in str(plan)
    assert list(net.maps(image, "body.0:z")) == ["body.0#1:z"]
    assert list(net.maps(image, "body.2")) == ["body.2#1:a"]
    with pytest.raises(KeyError, match="is not a row"):
        plan["other"]


def test_costs_are_those_of_all_images() -> None:
    _, net, _, _ = both("cat", "chunk")
    alone = fm.trace(made(lambda x: x, lambda y: y), SHAPE).plan()
    plan = net.plan()
    assert plan.totals.macs == 2 * alone.totals.macs
    assert plan.totals.parameters == alone.totals.parameters
    assert sum(row.parameters for row in plan) == plan.totals.parameters


def test_other_sizes() -> None:
    module, net, _, _ = both("cat", "chunk")
    image = torch.rand(1, 3, 16, 18)
    close(net.maps(image, "body.0#2:conv")["body.0#2:conv"].values, inside(module, module.body[0], image)[1:].detach())


class Pairs(nn.Module):
    """Two images that come in, as a Siamese or optical flow network takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 3)
        self.head = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        one, two = self.encoder(torch.cat([first, second])).chunk(2)
        return self.head(torch.cat([one, two], 1))


def test_two_images_that_come_in() -> None:
    first, second = torch.rand(1, *SHAPE), torch.rand(1, *SHAPE)
    module = Pairs().eval()
    net = fm.trace(module, inputs=(first, second))
    assert [row.address for row in net.plan()] == ["encoder#1", "encoder#2", "cat", "head"]
    with torch.no_grad():
        close(net.maps(first, "encoder#1:z")["encoder#1:z"].values, module.encoder(first))
        close(net.maps(first, "encoder#2:z")["encoder#2:z"].values, module.encoder(second))
        close(net.maps(first, "head:z")["head:z"].values, module(first, second))


def test_calls_of_a_module_that_is_called_often_are_counted_on() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            alone = self.c(x)
            one, two = self.c(torch.cat([alone, x])).chunk(2)
            return self.c(one * two)

    module = Twice().eval()
    net = fm.trace(module, SHAPE)
    assert [row.address for row in net.plan()] == ["c#1", "c#2", "c#3", "mul", "c#4"]
    image = torch.rand(1, *SHAPE)
    with torch.no_grad():
        alone = module.c(image)
        close(net.maps(image, "c#2:z")["c#2:z"].values, module.c(alone))
        close(net.maps(image, "c#3:z")["c#3:z"].values, alone)
        close(net.maps(image, "c#4:z")["c#4:z"].values, module(image))
    with pytest.raises(AmbiguousAddress, match="'c' is called 4 times"):
        net.maps(image, "c")


def test_what_mixes_the_images_reads_them_joined() -> None:
    """Statistics of the batch, a product over it: what comes out is no image's own."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)

        def forward(self, x: Tensor) -> Tensor:
            joined = self.norm(self.c(torch.cat([x, x.flip(3) * 3])))
            return torch.einsum("nchw,mchw->nm", joined, joined)

    module = Mixed().eval()
    net = fm.trace(module, SHAPE)
    assert numbers(net, "c") == [1, 2]
    image = torch.rand(1, *SHAPE)
    captured = net._captured  # pyright: ignore[reportPrivateUsage]
    (output,) = captured.graph.outputs
    assert output is not None
    with torch.no_grad():
        close(run_batches(captured, image, [output])[output], module(image))


def test_networks_that_join_nothing_are_as_they_were() -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(320, 2)), SHAPE)
    assert net.plan().joined_images == {}
    assert net._captured.graph.copy_of == {}  # pyright: ignore[reportPrivateUsage]
