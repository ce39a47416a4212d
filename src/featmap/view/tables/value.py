"""Tables of the arithmetic of one value or one map, and of occlusions, for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from featmap.geometry.place import place_of
from featmap.geometry.setting import axis_words
from featmap.methods.contributions import Contributions
from featmap.methods.explain import Explanation
from featmap.methods.shared.norm_step import NormalizationStep
from featmap.methods.shared.occlusion import OcclusionMap, OcclusionMaps, share_words
from featmap.methods.shared.operand_terms import Term
from featmap.network.resolve import listed
from featmap.view.tables.parts import counted, natural_width, shape_text, table

LARGEST_SHOWN = 8


def explanation_table(explanation: Explanation, shown: int = LARGEST_SHOWN, width: int | None = None) -> RenderableType:
    """The arithmetic of one value: the largest contributions, the rest in one row, then the steps to the value.

    Of each window the largest products are written out, three of them or as many as fit into the width.
    """
    for products in (3, 2, 1):
        made = table(_EXPLANATION_HEADINGS, _explanation_rows(explanation, shown, products))
        made.width = natural_width(made)
        if width is None or made.width <= width:
            break
    window = explanation.window
    return Group(
        Text(f"{explanation.address} = {explanation.value:.6g}", style="bold"),
        Text(f"window over {window.words} of {explanation.source}; {_terms_words(explanation)}"),
        made,
        Text(f"weights: {explanation.weights_source}"),
    )


_EXPLANATION_HEADINGS = (("", "left"), ("window x kernel", "left"), ("value", "right"))


def _explanation_rows(explanation: Explanation, shown: int, products: int) -> list[list[str]]:
    largest, others = explanation.largest[:shown], explanation.largest[shown:]
    rows = [[term_name(term), _grid(term, products), f"{term.sum:+.6g}"] for term in largest]
    if others:
        name = counted(len(others), "other channel")
        rows.append([name, "", f"{sum(term.sum for term in others):+.6g}"])
    if explanation.bias is not None:
        rows.append([_constant_name(explanation), "", f"{explanation.bias:+.6g}"])
    name = "conv" if explanation.conv is not None else "sum"
    return [*rows, [name, "sum of the above", f"{explanation.total:.6g}"], *_after_conv(explanation)]


def _constant_name(explanation: Explanation) -> str:
    return "bias" if explanation.conv is not None else "constant"


def _terms_words(explanation: Explanation) -> str:
    sources = len({term.source for term in explanation.terms})
    if sources > 1:
        return f"{sources} operands"
    return counted(len(explanation.terms), "input channel")


def term_name(term: Term) -> str:
    """What a term is of: a channel of the input, or of one of several operands."""
    return f"channel {term.channel} of {term.source}" if term.source else f"channel {term.channel}"


def _after_conv(explanation: Explanation) -> list[list[str]]:
    rows = [line for norm in explanation.normalizations for line in _norm_rows(norm)]
    rows.append(["z", "", f"{explanation.z:.6g}"])
    if explanation.a is not None:
        rows.append(["a", f"{explanation.nonlinearity}(z)", f"{explanation.a:.6g}"])
    return rows


def _norm_rows(norm: NormalizationStep) -> list[list[str]]:
    rows = [[norm.operator, _affine(norm), ""]]
    if norm.mean is not None and norm.variance is not None:
        rows.append(["", f"mean {norm.mean:.6g}, variance {norm.variance:.6g}", ""])
    return rows


def _affine(norm: NormalizationStep) -> str:
    if norm.scale is None or norm.shift is None:
        return "by the map's own statistics"
    return f"x {norm.scale:.6g} {'-' if norm.shift < 0 else '+'} {abs(norm.shift):.6g}"


def _grid(term: Term, shown: int) -> str:
    """The largest products of a window, which say most about its sum."""
    products = (term.window * term.kernel).ravel()
    order = sorted(range(len(products)), key=lambda at: -abs(products[at]))[:shown]
    pairs = (f"{term.window.ravel()[at]:.3g} x {term.kernel.ravel()[at]:.3g}" for at in order)
    return " + ".join(pairs) + (" + ..." if len(products) > shown else "")


def contributions_table(contributions: Contributions, shown: int = LARGEST_SHOWN) -> RenderableType:
    """Contributions of input maps to a map: the largest shares, the rest in one row, the bias, and their sum."""
    shares = contributions.shares.tolist()
    sums = contributions.values.flatten(1).sum(dim=1).tolist()
    order = sorted(range(len(shares)), key=lambda at: (-shares[at], at))
    rows = [[f"channel {contributions.channels[at]}", f"{shares[at]:.1%}", f"{sums[at]:+.6g}"] for at in order[:shown]]
    if others := order[shown:]:
        share, total = (sum(values[at] for at in others) for values in (shares, sums))
        rows.append([counted(len(others), "other channel"), f"{share:.1%}", f"{total:+.6g}"])
    if contributions.bias is not None:
        rows.append(["bias", "", f"{contributions.bias * contributions.conv.numel():+.6g}"])
    rows.append(["conv", "", f"{float(contributions.conv.sum()):.6g}"])
    size = shape_text(tuple(contributions.conv.shape))
    cells = listed([words.cells for words in axis_words(contributions.conv.ndim)])
    inputs = f"{counted(len(contributions.channels), 'input map')} of {contributions.source}"
    return Group(
        Text(f"{contributions.address}, a map of {size}, from {inputs}", style="bold"),
        table((("", "left"), ("share", "right"), ("sum", "right")), rows),
        Text(f"share: of all contributions by absolute value; sum: over all {cells}"),
        Text(f"weights: {contributions.weights_source}"),
    )


def occlusions_table(occlusions: OcclusionMaps) -> RenderableType:
    """One row per image: its score, and the window that lets it fall most."""
    headings = [("image", "left"), ("score of", "left"), ("score", "right"), ("largest drop", "right")]
    headings += [("at", "left"), ("largest effect", "left")]
    return Group(
        table(headings, [_occlusion_row(each) for each in occlusions]),
        Text(f"weights: {occlusions[0].weights_source}" if occlusions else ""),
    )


def _occlusion_row(each: OcclusionMap) -> list[str]:
    drop = each.drop
    place = each.windows.box(*place_of(int(drop.argmax()), drop.shape)).words
    return [each.image, each.target, f"{each.score:.6g}", f"{drop.max():.4g}", place, share_words(each.relative_effect)]
