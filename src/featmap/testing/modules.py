"""Small modules from which random networks are built, and the sum pool that shows what a maximum pool reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """The input plus a block's output, through a projection where the shapes differ."""

    def __init__(self, block: nn.Module, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.block = block
        self.projection = projection or nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.block(x)
        out += self.projection(x)
        return self.relu(out)


class Branches(nn.Module):
    """The outputs of several blocks for one input, concatenated along the channels."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([block(x) for block in self.blocks], dim=1)


class ResizeLayer(nn.Module):
    """Interpolation by a factor."""

    def __init__(self, factor: float, mode: str, *, align_corners: bool | None = None) -> None:
        super().__init__()
        self.factor = factor
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=self.factor, mode=self.mode, align_corners=self.align_corners)


class PadLayer(nn.Module):
    """Padding and cropping: (left, right, top, bottom), the last axis first."""

    def __init__(self, amounts: tuple[int, ...], mode: str = "constant") -> None:
        super().__init__()
        self.amounts = amounts
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.amounts, self.mode)


class SumPool(nn.Module):
    """Sums the values that a maximum pool would choose from: the same windows, but every value in them has a gradient.

    Written from the definition: output o reads the inputs o * stride - padding + t * dilation that are on the map.
    """

    def __init__(self, pool: nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        made = x
        for axis, outputs in enumerate(self.pool(x).shape[2:]):
            made = (made.movedim(2 + axis, -1) @ self._reads(x, axis, outputs).T).movedim(-1, 2 + axis)
        return made

    def _reads(self, x: Tensor, axis: int, outputs: int) -> Tensor:
        size = x.shape[2 + axis]
        matrix = torch.zeros(outputs, size, dtype=x.dtype)
        kernel, stride, padding, dilation = (
            value[axis] if isinstance(value, tuple) else value
            for value in (self.pool.kernel_size, self.pool.stride, self.pool.padding, self.pool.dilation)
        )
        for output in range(outputs):
            for tap in range(kernel):
                source = output * stride - padding + tap * dilation
                if 0 <= source < size:
                    matrix[output, source] = 1
        return matrix


class Affine(nn.Module):
    """A batch norm in evaluation: a scale and a shift per channel.

    torch 2.13's own backward of it is wrong where its gradient has an unusual memory order.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        assert norm.running_var is not None
        assert norm.running_mean is not None
        self.scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        self.shift = (norm.bias - norm.running_mean * self.scale).detach()

    def forward(self, x: Tensor) -> Tensor:
        each = (-1, *[1] * (x.ndim - 2))
        return x * self.scale.view(each) + self.shift.view(each)


def transparent(module: nn.Module) -> nn.Module:
    """The module (changed in place) so that a gradient shows everything that a unit reads.

    Maximum pools become sums over their windows, batch norms plain arithmetic.
    """
    if isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d):
        return SumPool(module)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return Affine(module)
    for name, child in module.named_children():
        setattr(module, name, transparent(child))
    return module


def make_positive(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and biases from 0.5 to 1.5 and positive statistics, so that no path cancels and no ReLU is 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5)
        for name, tensor in module.named_buffers():
            if tensor.is_floating_point():
                tensor.fill_(1.0 if name.endswith("running_var") else 0.0)
    return module
