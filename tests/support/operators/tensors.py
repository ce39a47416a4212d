"""Tensors for calls: views and parts of one image in every form that operators take, and constants that fit them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


@dataclass(frozen=True)
class Made:
    """A tensor that is made of the image, (1, 4, row, column), by these operators one after the other."""

    steps: tuple[tuple[Any, tuple[Any, ...]], ...] = ()

    def then(self, target: Any, *args: Any) -> Made:
        """The same, and one operator more."""
        return Made((*self.steps, (target, args)))

    def __str__(self) -> str:
        return "image" + "".join(f".{getattr(target, '__name__', target)}{args}" for target, args in self.steps)

    __repr__ = __str__

    def of(self, image: Tensor) -> Tensor:
        """The tensor, made of that image."""
        for target, args in self.steps:
            image = target(image, *args)
        return image


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that is a weight of the model."""

    value: Tensor

    def __repr__(self) -> str:
        numbers = self.value.flatten().tolist()[:8] if not self.value.is_floating_point() else ""
        return f"constant {tuple(self.value.shape)} {numbers}"


IMAGE = Made()
FORMS: tuple[Made, ...] = (
    IMAGE,
    IMAGE,
    IMAGE,
    IMAGE.then(aten.select.int, 2, 1),
    IMAGE.then(aten.unsqueeze.default, 1),
    IMAGE.then(aten.mean.dim, [2, 3]),
    IMAGE.then(aten.select.int, 1, 1),
    IMAGE.then(aten.permute.default, [0, 2, 3, 1]),
    IMAGE.then(aten.narrow.default, 1, 0, 1),
    IMAGE.then(aten.flatten.using_ints, 2, 3),
    IMAGE.then(aten.flatten.using_ints, 2, 3).then(aten.transpose.int, 1, 2),
    IMAGE.then(aten.mean.dim, [0, 1, 2]),
    IMAGE.then(aten.flatten.using_ints, 0, 3),
)
"""Maps, signals, volumes, vectors, planes, maps with their channels last, one map, sequences."""

RARE_FORMS = (*FORMS, IMAGE.then(aten.narrow.default, 3, 0, 2))
"""Forms for operators that take none of those: pairs of numbers."""

KINDS: dict[str, tuple[tuple[Any, tuple[Any, ...]], ...]] = {
    "real": (),
    "bool": ((aten.gt.Scalar, (0.5,)),),
    "whole": ((aten.mul.Scalar, (3.0,)), (aten.to.dtype, (torch.int64,))),
    "complex": ((aten.mul.Scalar, (1 + 2j,)),),
}
"""What makes numbers of another type of real ones."""


def of_kind(made: Made, kind: str) -> Made:
    """The same numbers, as bools, whole numbers or complex ones."""
    for target, args in KINDS[kind]:
        made = Made((*made.steps, (target, args)))
    return made


def whole_numbers(random: Random, shape: tuple[int, ...], below: int) -> Tensor:
    """Indices."""
    return torch.tensor([random.randrange(below) for _ in range(prod(shape))]).reshape(shape)


def real_numbers(random: Random, shape: tuple[int, ...], low: float = 0.2, high: float = 1.5) -> Tensor:
    """Positive numbers, none of them like another."""
    return torch.tensor([random.uniform(low, high) for _ in range(prod(shape))], dtype=torch.float64).reshape(shape)
