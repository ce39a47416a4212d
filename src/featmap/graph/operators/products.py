"""Linear layers, matrix products, attention: what they read, and how many multiply-adds they take."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from featmap.geometry import Pointwise, Whole
from featmap.graph.graph import TensorSpec
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.operator import Operator, Rules, node_arguments, reads_images_besides, whole
from featmap.graph.operators.base.regions import keeps_positions, reads_one
from featmap.graph.operators.base.roles import Norm, Role


@dataclass(frozen=True)
class LinearLayer(Operator):
    """A linear layer: pointwise in space on channels-last maps, reads the whole map where that was flattened."""

    kind: ClassVar[str] = "linear"
    is_known: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    is_fresh: ClassVar[bool] = True
    weights_are_channels: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        axes, last = call["input"].axes, call["input"].rank - 1
        return NO_AXES if last in axes.known else axes

    def works_over(self, call: Call) -> int:
        # Tokens gone over one by one would be followed to attention, whose fields then are hulls larger than the image.
        return 2

    def mixes_images(self, call: Call) -> bool:
        return reads_images_besides(call, "input")

    def rules(self, call: Call, operand: Operand) -> Rules:
        is_read_once = call.node.inputs.count(operand.index or 0) == 1
        if call.out_axes.has_space and operand.index == call["input"].index and is_read_once:
            return (Pointwise(),) * len(call.out_axes.spatial)
        return whole(call, operand)

    def reads_all_along(self, call: Call, operand: Operand, axis: int) -> bool:
        return operand.index == call["input"].index and axis == operand.rank - 1

    def role(self, call: Call, norm: Norm) -> Role:
        is_plain = reads_one(call) and not keeps_positions(call) and call["weight"].rank == 2
        return Role.LINEAR if is_plain else super().role(call, norm)

    def macs(self, call: Call) -> int | None:
        return TensorSpec(call.out_shape, call["input"].spec.dtype).count * call["weight"].shape[-1]

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


@dataclass(frozen=True)
class MatrixProduct(Operator):
    """A product of two matrices, as in attention: reads the whole map."""

    kind: ClassVar[str] = "matrix product"
    is_known: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        left, right = self.factors(call)
        if not isinstance(left, Operand) or not isinstance(right, Operand):
            left, right = call.operands[0], call.operands[0]
        rank = len(call.out_shape)
        # Rows of the left matrix are rows of the product; of stacks of matrices each has its own.
        leading = [one for one in (left, right) if one.depends_on_input and one.axes.batch == 0 and one.rank == rank]
        has_images = any(one.shape[0] == call.out_shape[0] and (one == left or rank > 2) for one in leading)
        return Axes(0) if has_images else NO_AXES

    def mixes_images(self, call: Call) -> bool:
        """Products go image by image where all operands have the images in front and matrices behind."""
        read = [operand for operand in call.operands if operand.depends_on_input]
        ranks = {operand.rank for operand in read}
        in_front = all(operand.axes.batch == 0 for operand in read)
        return not in_front or (len(read) > 1 and (len(ranks) > 1 or min(ranks) < 3))

    def rules(self, call: Call, operand: Operand) -> Rules:
        return (Whole(1),) * len(call.out_axes.spatial)

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        # Of products of stacks of matrices each reads its own; each row of a product one row of the left matrix.
        left, right = self.factors(call)
        is_left = isinstance(left, Operand) and operand == left and left != right
        return len(call.out_shape) >= operand.rank > 1 and axis < operand.rank - (1 if is_left else 2)

    def acts_linearly(self, call: Call) -> bool:
        return reads_one(call)

    def factors(self, call: Call) -> tuple[Any, Any]:
        """The left and the right matrix; addmm and baddbmm have a sum as `self`."""
        for names in (("mat1", "mat2"), ("batch1", "batch2"), ("query", "key")):
            if names[0] in call.arguments:
                return call[names[0]], call[names[1]]
        return call.get("self"), call.get("other", call.get("mat2"))

    def macs(self, call: Call) -> int | None:
        left, _ = self.factors(call)
        if not isinstance(left, Operand) or not left.rank:
            return None
        return prod(call.out_shape) * left.shape[-1]

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


@dataclass(frozen=True)
class Attention(MatrixProduct):
    """Scaled dot-product attention: every query meets every key, and every output sums over all values."""

    def acts_linearly(self, call: Call) -> bool:
        return False

    def macs(self, call: Call) -> int | None:
        queries, keys = call["query"].shape, call["key"].shape
        return (prod(queries) + prod(call.out_shape)) * keys[-2]


@dataclass(frozen=True)
class Einsum(MatrixProduct):
    """A sum of products written as an equation; its cost is known for two operands that share what is summed."""

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return False

    def stated(self, call: Call) -> dict[str, Any]:
        return {"equation": call["equation"].replace(" ", "")}

    def mixes_images(self, call: Call) -> bool:
        """Each image by itself where one letter counts the images in every operand and first in the result."""
        sides, _, result = call["equation"].replace(" ", "").replace("...", ".").partition("->")
        pairs = zip(sides.split(","), call["tensors"], strict=True)
        read = [(term, operand) for term, operand in pairs if operand.depends_on_input]
        first = {term[:1] for term, _ in read} | {result[:1]}
        return len(first) != 1 or any(operand.axes.batch != 0 for _, operand in read)

    def macs(self, call: Call) -> int | None:
        sides, arrow, result = call["equation"].replace(" ", "").partition("->")
        terms = sides.split(",")
        shapes = [operand.shape for operand in call["tensors"]]
        if not arrow or len(terms) != 2 or "." in sides or any(len(set(term)) < len(term) for term in terms):
            return None
        pairs = (zip(term, shape, strict=True) for term, shape in zip(terms, shapes, strict=True))
        sizes = {letter: size for pair in pairs for letter, size in pair}
        summed = set(terms[0]) & set(terms[1]) - set(result)
        # What only one operand has and the result lacks is summed before anything is multiplied.
        return prod(sizes[letter] for letter in {*result, *summed}) if summed else 0


@dataclass(frozen=True)
class Distances(MatrixProduct):
    """cdist: the distance of every vector to every other; for Euclidean ones a square is added up per coordinate."""

    def acts_linearly(self, call: Call) -> bool:
        return False

    def macs(self, call: Call) -> int | None:
        return prod(call.out_shape) * call["x1"].shape[-1] if call["p"] == 2 else None
