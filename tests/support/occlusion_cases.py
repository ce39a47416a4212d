"""Small networks, one for every way in which an operator can move, mix or read places, and the oracle of occlusion.

The oracle is the definition: the module itself runs on each occluded image, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.methods.shared.occlusion import OcclusionMap
from support.tiny_modules import conv, written

CLOSE = 1e-9
"""In float64, as a share of the largest score."""


@dataclass(frozen=True)
class Case:
    """A module in float64 with weights of both signs, the network traced from it, and an image for it."""

    module: nn.Module
    net: fm.Network
    image: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """The output's shape without the image axis."""
        with torch.no_grad():
            return tuple(self.module(self.image).shape[1:])

    @property
    def has_maps(self) -> bool:
        """Whether it is known which axes of the output are rows and columns."""
        captured = self.net._captured
        node = captured.graph.outputs[0]
        return node is not None and captured.sized.axes[node].has_space

    @property
    def output(self) -> str:
        """The address of the output."""
        captured = self.net._captured
        node = captured.graph.outputs[0]
        assert node is not None
        return captured.resolver.describe(node)


def case_of(module: nn.Module, shape: tuple[int, ...], seed: int = 0) -> Case:
    """The module with weights and statistics of both signs, in evaluation mode, in float64."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
                # Values stay near 1 through all layers: nothing saturates, and every error would be seen.
                scale = max(1.0, tensor[0].numel() ** 0.5) if tensor.ndim > 1 else 1.0
                tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values / scale)
    image = torch.randn((1, *shape), generator=generator, dtype=torch.float64)
    return Case(module, fm.trace(module, shape), image)


Read = Callable[[Any], Tensor]
Paint = Callable[[Tensor], Tensor]
"""What is written over a window of an image (channel, row, column), from that window."""


def zero(window: Tensor) -> Tensor:
    """The baseline 0."""
    return torch.zeros_like(window)


def full_runs(
    module: nn.Module, image: Tensor, found: OcclusionMap, read: Read, paint: Paint = zero
) -> np.ndarray[Any, Any]:
    """The score at each of the result's positions, each by a full run."""
    grid = np.empty(found.grid.shape)
    for row, line in enumerate(found.positions):
        for column, (top, left, bottom, right) in enumerate(line):
            changed = image.clone()
            changed[0, :, top:bottom, left:right] = paint(image[0, :, top:bottom, left:right])
            with torch.no_grad():
                grid[row, column] = float(read(module(changed)))
    return grid


def assert_equals(found: OcclusionMap, scores: np.ndarray[Any, Any], name: str = "") -> None:
    """The result's scores are these to 1e-9 of the largest."""
    largest = max(float(np.abs(scores).max()), abs(found.score))
    difference = float(np.abs(found.grid - scores).max())
    # Written so that NaN on either side fails.
    assert difference <= CLOSE * largest, f"{name}: off by {difference}, largest score {largest}"


def assert_equals_full_runs(
    case: Case, target: Any, read: Read, *, paint: Paint = zero, name: str = "", **asked: Any
) -> OcclusionMap:
    """Asks the network, compares every score (the untouched image's too) with full runs, and returns the answer."""
    settings = {"window": (3, 4), "stride": (4, 3), "dtype": torch.float64, "progress": False, **asked}
    found = case.net.occlude(case.image, target, **settings)
    with torch.no_grad():
        untouched = float(read(case.module(case.image)))
    assert abs(found.score - untouched) <= CLOSE * abs(untouched), f"{name}: {found.score} instead of {untouched}"
    assert_equals(found, full_runs(case.module, case.image, found, read, paint), name)
    return found


class Focus(nn.Module):
    """Every second row and column into channels: by slices, as detectors do."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, then channels last: layer norm and two linear layers, a scale per channel, and the shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 2 * channels)
        self.narrow = nn.Linear(2 * channels, channels)
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.narrow(functional.gelu(self.wide(self.norm(y))))
        return x + y.permute(0, 3, 1, 2) * self.scale


class SqueezeExcite(nn.Module):
    """A gate per channel from the mean of the whole map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(torch.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class ChannelShuffle(nn.Module):
    """Half of the channels through a block, then shuffled by views, as ShuffleNet does."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(conv(2, 2), nn.BatchNorm2d(2), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        y = torch.cat((first, self.block(second)), dim=1)
        count, channels, rows, columns = y.shape
        return (
            y.view(count, 2, channels // 2, rows, columns).transpose(1, 2).contiguous().view(count, -1, rows, columns)
        )


class Positions(nn.Module):
    """A learned map is added: a constant that differs from place to place."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.position


class Reused(nn.Module):
    """One convolution and one in-place nonlinearity, each called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = conv(3, 3), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x))
        x += self.relu(self.conv(x))
        return x


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def between(*parts: nn.Module | Callable[[Tensor], Tensor], first: int = 4, last: int = 4) -> nn.Module:
    """The parts between two 3x3 convolutions with a nonlinearity."""
    modules = [part if isinstance(part, nn.Module) else Applied(part) for part in parts]
    return nn.Sequential(conv(3, first), nn.ReLU(inplace=True), *modules, conv(last, 3), nn.SiLU())


def pad(*amounts: int, mode: str = "constant", value: float | None = None) -> Callable[[Tensor], Tensor]:
    """`functional.pad` with these settings."""
    return lambda x: functional.pad(x, amounts, mode, value)


def resize(mode: str, corners: bool | None = None, **size: Any) -> Callable[[Tensor], Tensor]:
    """`functional.interpolate` with these settings."""
    return lambda x: functional.interpolate(x, mode=mode, align_corners=corners, **size)


def transposed(kernel: Any, stride: Any = 1, **settings: Any) -> nn.Module:
    """A transposed convolution of four channels."""
    return nn.ConvTranspose2d(4, 4, kernel, stride, **settings)


def residual(block: nn.Module, shortcut: nn.Module | None = None) -> nn.Module:
    """The sum of a block and its input, in place, then an in-place ReLU."""

    def forward(module: Any, x: Tensor) -> Tensor:
        out = module.block(x)
        out += module.shortcut(x)
        return module.relu(out)

    return written(forward, block=block, shortcut=shortcut or nn.Identity(), relu=nn.ReLU(inplace=True))


def unread_branch() -> nn.Module:
    """One of three branches that nothing reads, two that are joined."""

    def forward(module: Any, x: Tensor) -> Tensor:
        module.unread(x)
        return torch.cat([module.near(x), module.far(x)], 1)

    return written(forward, unread=conv(4, 9), near=conv(4, 2, 1), far=conv(4, 2, 5))


REGIONAL: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: between(conv(4, 4), nn.ReLU(inplace=True)),
    "strided": lambda: between(conv(4, 4, 3, stride=(2, 3))),
    "stride over kernel": lambda: between(conv(4, 4, 1, stride=2)),
    "even kernel": lambda: between(nn.Conv2d(4, 4, (2, 4), padding=(1, 2))),
    "same": lambda: between(nn.Conv2d(4, 4, (2, 4), padding="same", dilation=(1, 2))),
    "dilation": lambda: between(conv(4, 4, 3, padding=2, dilation=2), conv(4, 4, 3, padding=(0, 3), dilation=(1, 3))),
    "groups": lambda: between(conv(4, 8, 3, groups=2), first=4, last=8),
    "depthwise": lambda: between(conv(4, 8, 3, groups=4), conv(8, 4, 1)),
    "no bias": lambda: between(conv(4, 4, bias=False), nn.BatchNorm2d(4), nn.ReLU6()),
    "pointwise without padding": lambda: between(nn.Conv2d(4, 6, 1, groups=2), last=6),
    "pointwise with padding": lambda: between(nn.Conv2d(4, 4, 1, padding=1)),
    "residual": lambda: between(residual(nn.Sequential(conv(4, 4), nn.BatchNorm2d(4)))),
    "residual, strided": lambda: between(
        residual(nn.Sequential(conv(4, 6, stride=2), nn.BatchNorm2d(6)), conv(4, 6, 1, stride=2)), last=6
    ),
    "difference": lambda: between(lambda x: functional.avg_pool2d(x, 3, 1, 1) - x * 0.5),
    "concat": lambda: between(unread_branch()),
    "transposed": lambda: between(transposed(3, 2, padding=1, output_padding=1)),
    "transposed, stride over kernel": lambda: between(transposed((1, 2), (3, 4), output_padding=(2, 1))),
    "transposed, dilated": lambda: between(transposed(3, (2, 3), dilation=(3, 2), padding=(1, 2))),
    "transposed, groups": lambda: between(transposed((4, 2), 2, groups=2, padding=(1, 0), bias=False)),
    "transposed 1x1": lambda: between(transposed(1)),
    "transposed 1x1, groups": lambda: between(nn.ConvTranspose2d(4, 6, 1, groups=2), last=6),
    "nearest": lambda: between(resize("nearest", scale_factor=2)),
    "nearest, odd": lambda: between(resize("nearest", scale_factor=(1.5, 0.7))),
    "nearest-exact": lambda: between(resize("nearest-exact", scale_factor=1.6)),
    "bilinear": lambda: between(resize("bilinear", False, scale_factor=(2, 1.3))),
    "bilinear, corners": lambda: between(resize("bilinear", True, scale_factor=(1.7, 2))),
    "bicubic": lambda: between(resize("bicubic", False, scale_factor=(1.5, 2))),
    "bicubic, corners": lambda: between(resize("bicubic", True, scale_factor=2)),
    "reflect": lambda: between(pad(2, 1, 3, 0, mode="reflect")),
    "replicate": lambda: between(pad(2, 1, 3, 0, mode="replicate")),
    "circular": lambda: between(pad(2, 1, 3, 0, mode="circular")),
    "padding modes": lambda: between(conv(4, 4, padding_mode="reflect"), conv(4, 4, padding_mode="circular")),
    "pad by a value": lambda: between(pad(2, 1, 3, 0, value=-1.5)),
    "crop": lambda: between(pad(-2, 3, 1, -1, value=0.5)),
    "crop, replicated": lambda: between(pad(-1, 2, 2, -2, mode="replicate")),
    "pad channels": lambda: between(pad(0, 0, 0, 0, 1, 1), last=6),
    "maximum pool": lambda: between(nn.MaxPool2d(3, 2, 1)),
    "maximum pool, ceil": lambda: between(nn.MaxPool2d((3, 2), (2, 3), (1, 0), ceil_mode=True)),
    "maximum pool, dilated": lambda: between(nn.MaxPool2d(2, 1, 1, dilation=2)),
    "maximum pool of negatives": lambda: between(lambda x: -x - 5, nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    "average pool": lambda: between(nn.AvgPool2d(3, 2, 1)),
    "average pool, ceil": lambda: between(nn.AvgPool2d((3, 2), (2, 3), (1, 1), ceil_mode=True)),
    "average pool of the map alone": lambda: between(nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)),
    "average pool by a divisor": lambda: between(nn.AvgPool2d((2, 3), 2, 1, divisor_override=5)),
    "adaptive average": lambda: between(nn.AdaptiveAvgPool2d((5, 4))),
    "adaptive average, enlarging": lambda: between(nn.AdaptiveAvgPool2d((17, 15))),
    "adaptive average of columns": lambda: between(nn.AdaptiveAvgPool2d((None, 6))),
    "pixel shuffle": lambda: between(nn.PixelShuffle(2), last=1),
    "pixel unshuffle": lambda: between(pad(0, 1), nn.PixelUnshuffle(2), last=16),
    "channel shuffle": lambda: between(ChannelShuffle()),
    "channel shuffle, the operator": lambda: between(nn.ChannelShuffle(2)),
    "focus": lambda: between(pad(0, 1), Focus(), last=16),
    "flip": lambda: between(lambda x: x.flip(3) + x.flip((2,))),
    "flip of channels": lambda: between(lambda x: x.flip(1)),
    "crop by slices": lambda: between(lambda x: x[:, :, 1:-1, 2:], lambda x: x[:, 1:], last=3),
    "narrow": lambda: between(lambda x: x.narrow(2, 2, 7) * 2),
    "split": lambda: between(lambda x: torch.cat([y * (i + 1) for i, y in enumerate(x.split([1, 3], 1))], 1)),
    "repeat": lambda: between(lambda x: x.repeat(1, 2, 1, 1), last=8),
    "repeat_interleave": lambda: between(lambda x: x.repeat_interleave(2, 2)),
    "ConvNeXt": lambda: between(ConvNeXtBlock(4)),
    "channels last": lambda: between(lambda x: x.permute(0, 2, 3, 1).softmax(-1).permute(0, 3, 1, 2)),
    "channels in the middle": lambda: between(lambda x: (x.permute(0, 2, 1, 3) * 2).permute(0, 2, 1, 3)),
    "local response": lambda: between(nn.LocalResponseNorm(3)),
    "prelu": lambda: between(nn.PReLU(4), nn.Softplus(), nn.LeakyReLU(0.1, inplace=True)),
    "hard nonlinearities": lambda: between(nn.Hardswish(inplace=True), nn.Hardsigmoid(), nn.SiLU(inplace=True)),
    "gate of maps": lambda: between(lambda x: x * torch.sigmoid(x.mean(1, keepdim=True))),
    "spatial attention": lambda: between(
        lambda x: torch.cat([x, x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1), last=6
    ),
    "mean of channels, put back": lambda: between(lambda x: x + x.mean(1).unsqueeze(1)),
    "gated linear unit": lambda: between(nn.GLU(1), last=2),
    "softmax over channels": lambda: between(nn.Softmax2d()),
    "where": lambda: between(lambda x: torch.where(x > 0.5, x, x * x)),
    "twice the same": lambda: between(lambda x: x + x, lambda x: torch.cat([x, x], 1), last=8),
    "reused": lambda: between(Reused(), first=3, last=3),
    "down to one place": lambda: nn.Sequential(
        conv(3, 4), nn.MaxPool2d(11, 11), nn.AdaptiveAvgPool2d(1), nn.Upsample(scale_factor=2)
    ),
    "dropout": lambda: between(nn.Dropout2d(), nn.Dropout(), nn.AlphaDropout()),
    "resize to a size": lambda: between(resize("bilinear", False, size=(9, 15))),
    "power pool": lambda: between(nn.LPPool2d(2, 3, 2)),
    "weight made of weights": lambda: between(nn.utils.parametrizations.weight_norm(conv(4, 4))),
    "sorted": lambda: between(lambda x: x.sort(1).values),
}
"""Operators of which a window changes a part only, and of which no more is computed again."""

WHOLE: dict[str, Callable[[], nn.Module]] = {
    "squeeze and excite": lambda: between(SqueezeExcite(4), conv(4, 4)),
    "group norm": lambda: between(nn.GroupNorm(2, 4), conv(4, 4)),
    "instance norm": lambda: between(nn.InstanceNorm2d(4)),
    "statistics of the batch": lambda: between(nn.BatchNorm2d(4, track_running_stats=False)),
    "layer norm over the map": lambda: between(nn.LayerNorm([4, 12, 11])),
    "positions": lambda: between(Positions(1, 4, 12, 11)),
    "positions of rows": lambda: between(Positions(12, 1)),
    "positions of columns": lambda: between(Positions(11)),
    "antialiased": lambda: between(resize("bilinear", False, scale_factor=0.6, antialias=True)),
    "softmax over rows": lambda: between(nn.Softmax(2)),
    "sums along rows": lambda: between(lambda x: x.cumsum(2)),
    "context": lambda: between(lambda x: x + x.mean((2, 3), keepdim=True)),
    "row context": lambda: between(lambda x: x + x.mean(2, keepdim=True)),
    "expanded context": lambda: between(lambda x: x + x.mean((2, 3), keepdim=True).expand(-1, -1, 12, 11)),
    "divided by its largest value": lambda: between(lambda x: x / x.abs().max()),
    "divided by its spread": lambda: between(lambda x: (x - x.mean()) / x.std()),
    "groups in the image axis": lambda: between(
        lambda x: (
            (y := x.reshape(x.shape[0] * 2, 2, 12, 11)).sub(y.mean((1, 2, 3), keepdim=True)).reshape(-1, 4, 12, 11)
        )
    ),
    "rows as images": lambda: between(lambda x: x.permute(2, 1, 0, 3).softmax(0).permute(2, 1, 0, 3)),
    "split rows": lambda: between(lambda x: torch.cat([x.split([3, 9], 2)[1], x.split([3, 9], 2)[0]], 2)),
    "second of uneven rows": lambda: between(lambda x: x.split([3, 9], 2)[1] * 2),
    "joined along rows": lambda: between(lambda x: torch.cat([x, x * 2], 2)),
    "attention": lambda: between(
        lambda x: (
            functional.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)[:, None]] * 3)[:, 0]
            .transpose(1, 2)
            .reshape(-1, 4, 12, 11)
        )
    ),
    "unfold": lambda: between(lambda x: functional.unfold(x, 3, padding=1).view(-1, 36, 12, 11), last=36),
    "maximum pool with places": lambda: between(lambda x: functional.max_pool2d(x, 2, 1, return_indices=True)[0]),
    "adaptive maximum": lambda: between(nn.AdaptiveMaxPool2d((4, 5))),
    "global maximum": lambda: between(lambda x: x - x.amax((2, 3), keepdim=True)),
    "kernel made of the image": lambda: between(
        lambda x: functional.conv2d(x, x.mean((0, 2, 3)).view(4, 1, 1, 1).expand(4, 4, 1, 1))
    ),
    "normalised by all": lambda: between(lambda x: functional.normalize(x.flatten(1), dim=1).view_as(x)),
    "class token": lambda: between(Token()),
    "flip of channels and places": lambda: between(lambda x: x.flip(1, 2)),
    "padded and cropped channels": lambda: between(pad(1, 0, 2, 1, 1, -1)),
    "padded channels and places": lambda: between(pad(1, 0, 2, 1, 1, 1, value=2.0), last=6),
    "stack": lambda: between(lambda x: torch.stack([x, x.relu() * 2], 1).sum(1)),
    "roll": lambda: between(lambda x: x.roll(2, 3)),
    "transpose rows and columns": lambda: between(lambda x: x.transpose(2, 3)),
    "mean of channels": lambda: between(lambda x: torch.stack([x.mean(1), x.amax(1)], 1), last=2),
    "norm over channels": lambda: between(lambda x: functional.normalize(x, dim=1)),
}
"""Operators behind which everything is computed again: they read whole maps or images, or nobody knows what."""


class Token(nn.Module):
    """Places as a sequence with a learned token of the captured number of images in front."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        sequence = torch.cat([self.token.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
        return (sequence[:, 1:] * sequence[:, :1]).transpose(1, 2).reshape(x.shape)


SHAPE = (3, 12, 11)


@cache
def case(name: str) -> Case:
    """The case of that name, built and captured once per test run."""
    return case_of({**REGIONAL, **WHOLE}[name](), SHAPE, seed=len(name))


def units(shape: Sequence[int]) -> list[tuple[int, int, int]]:
    """Channel, row and column of units in a corner, at a border, in the middle and in the opposite corner."""
    channels, rows, columns = shape
    return [
        (0, 0, 0),
        (channels // 2, rows // 2, columns - 1),
        (channels - 1, rows // 2, columns // 2),
        (channels - 1, rows - 1, columns - 1),
    ]
