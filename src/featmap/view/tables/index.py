"""Tables of the answers of an index, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from featmap.geometry.place import unit_words
from featmap.index.build.build import BuildReport
from featmap.index.questions.audit import Audit, LayerAudit
from featmap.index.questions.compare import Comparison, LayerComparison
from featmap.index.questions.distribution import Distribution
from featmap.index.questions.selectivity import Selectivity
from featmap.index.questions.similar import SimilarImages
from featmap.index.questions.summary import IndexSummary
from featmap.index.questions.top import TopImages, TopSheet
from featmap.index.verify.verify import Verification
from featmap.statistics.health import COUNTED
from featmap.view.drawing.text import number
from featmap.view.tables.parts import counted, shape_text, skipped_lines, table

_LISTED = 8
_PAIRS = 3
_EXAMPLES = 3


def report_text(report: BuildReport) -> str:
    """What a build added and what it skipped."""
    lines = [f"{report.path}: {counted(report.images, 'image')}, {report.added:,} of them new"]
    if report.skipped_before:
        lines.append(
            f"{counted(report.skipped_before, 'image')} could not be read before; --retry (retry=True) tries again"
        )
    return "\n".join([*lines, *skipped_lines(report.skipped), *_left_out_lines(report)])


def _left_out_lines(report: BuildReport) -> list[str]:
    """The files that are not images, with the first names, and the sum of all that was found."""
    lines: list[str] = []
    for entry in report.left_out:
        more = " ..." if entry.count > len(entry.names) else ""
        lines.append(f"left out: {entry.count:,} {entry.reason} ({', '.join(entry.names)}{more})")
    if lines:
        left_out = sum(entry.count for entry in report.left_out)
        parts = (
            (report.added, "new"),
            (report.known, "known"),
            (len(report.skipped), "skipped"),
            (left_out, "left out"),
        )
        lines.append(f"found: {report.found:,} = {' + '.join(f'{count:,} {word}' for count, word in parts if count)}")
    return lines


def summary_table(result: IndexSummary) -> RenderableType:
    """An index in short, one row per layer."""
    whole = result.description
    headings = [
        ("layer", "left"),
        ("maps", "right"),
        ("size", "right"),
        ("correlated over", "left"),
        ("quantiles", "left"),
    ]
    rows = [
        [
            layer.title,
            str(layer.channels),
            shape_text(layer.size),
            _places(layer.correlated, layer.places),
            f"of the {layer.tail:,} largest" if layer.tail else "not kept",
        ]
        for layer in whole.layers
    ]
    head = [
        f"{result.path}: {whole.model}, weights: {whole.weights_source}, network {whole.network}",
        f"{counted(result.images, 'image')} in {counted(result.blocks, 'block')}, input "
        f"{shape_text(whole.input_shape)}: {whole.preprocess.describe()} ({whole.preprocessing})",
        f"kept: the {whole.top_k} strongest images of every map{', the table of all images' if whole.table else ''}",
    ]
    head += whole.notes
    if whole.full:
        head.append(f"whole maps of {', '.join(whole.full)}")
    labels = [f"{label} {count}" for label, count in result.labels.items()]
    if labels:
        head.append(f"labels: {', '.join(labels[:_LISTED])}{' ...' if len(labels) > _LISTED else ''}")
    if result.names:
        head.append(f"names: {', '.join(result.names[:3])}{' ...' if result.images > 3 else ''}")
    title, *lines = head
    lists = map(Text, skipped_lines(result.skipped))
    return Group(Text(title, style="bold"), *map(Text, lines), table(headings, rows), *lists)


def _places(correlated: int, places: int) -> str:
    if not correlated:
        return "not kept"
    return "all positions" if correlated == places else f"{correlated} of {places} positions per image"


def top_table(result: TopImages) -> RenderableType:
    """One row per example."""
    headings = [("value", "right"), ("image", "left"), ("label", "left"), ("unit", "left"), ("sees", "left")]
    rows = [
        [
            number(example.value, 4),
            example.image,
            example.label,
            unit_words(example.unit),
            example.box.words,
        ]
        for example in result.examples
    ]
    among = f" ({result.chosen})" if result.chosen else ""
    title = f"{result.title}: the strongest {len(rows)} of {counted(result.images, 'image')}{among}"
    return Group(Text(title, style="bold"), table(headings, rows))


def top_sheet_text(result: TopSheet) -> str:
    """One line per map."""
    lines = [f"{result.title}: {counted(len(result.maps), 'map')}"]
    for each in result.maps:
        shown = [f"{number(e.value)} {e.image} {unit_words(e.unit)}" for e in each.examples[:_EXAMPLES]]
        more = f" and {len(each.examples) - _EXAMPLES} more" if len(each.examples) > _EXAMPLES else ""
        lines.append(f"/{each.address.rpartition('/')[2]}  {'; '.join(shown)}{more}")
    return "\n".join(lines)


def audit_table(result: Audit) -> RenderableType:
    """One row per layer, the totals, and the meaning of the terms."""
    headings = [("layer", "left"), ("maps", "right"), ("dead", "right"), ("nearly", "right")]
    headings += [("never positive", "right"), ("constant", "right"), ("saturated", "right")]
    headings += [("sparsity", "right"), ("redundant pairs", "right"), ("", "left")]
    totals = result.totals
    rows = [_audit_row(layer) for layer in result.layers]
    pairs = "?" if totals["redundant_pairs"] is None else str(totals["redundant_pairs"])
    counts = [str(totals[name]) for name in ("maps", *COUNTED)]
    rows.append(["total", *counts, f"{totals['sparsity']:.1%}", pairs, ""])
    limits = result.thresholds
    words = [
        f"over {counted(result.images, 'image')}; weights: {result.weights_source}",
        "dead: 0 everywhere, behind a nonlinearity that is 0 on a half line, such as ReLU; -: no such nonlinearity",
        f"nearly: above 0 on less than {limits.nearly_dead * 100:.3g}% of the images",
        "never positive: never above 0, and not dead; not a fault without a rectifier",
        "sparsity: the share of values not above 0; total: the mean of all maps",
        f"saturated: at a bound of the nonlinearity at {limits.saturated * 100:.3g}% of the positions or more",
        f"redundant: pairs whose correlation is {limits.redundant:.3g} or more, of either sign",
    ]
    dead = [f"{layer.address}: dead {_channels(layer.dead)}" for layer in result.layers if layer.dead]
    twins = [
        f"{layer.address}: redundant {_pairs(layer.redundant_pairs)}"
        for layer in result.layers
        if layer.redundant_pairs
    ]
    named = [*_some(dead, "layers with dead maps"), *_some(twins, "layers with redundant pairs")]
    return Group(table(headings, rows), Text(""), *(Text(line) for line in (*named, *words)))


def _some(lines: Sequence[str], what: str) -> list[str]:
    rest = len(lines) - _LISTED
    return [*lines[:_LISTED], *([f"and {rest} more {what}"] if rest > 0 else [])]


def _pairs(pairs: Sequence[tuple[int, int, float]]) -> str:
    shown = ", ".join(f"/{one} and /{other} ({correlation:.2f})" for one, other, correlation in pairs[:_PAIRS])
    return f"{shown} and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else shown


def _audit_row(layer: LayerAudit) -> list[str]:
    pairs = "?" if layer.redundant_pairs is None else str(len(layer.redundant_pairs))
    notes = [f"over {layer.correlated} of {layer.places} positions"] if 0 < layer.correlated < layer.places else []
    notes += ["sees beyond the input"] if layer.sees_beyond_input else []
    notes += ["magnitudes, of complex values"] if layer.magnitudes else []
    deaths = ("dead", "nearly_dead")
    counts = [str(len(getattr(layer, name))) if layer.rectified or name not in deaths else "-" for name in COUNTED]
    return [layer.address, str(layer.maps), *counts, f"{layer.sparsity:.1%}", pairs, "; ".join(notes)]


def _channels(channels: Sequence[int]) -> str:
    shown = ", ".join(f"/{channel}" for channel in channels[:_LISTED])
    return f"{shown} and {len(channels) - _LISTED} more" if len(channels) > _LISTED else shown


def similar_table(result: SimilarImages) -> RenderableType:
    """One row per image."""
    rows = [[f"{each.distance:.4f}", each.image, each.label] for each in result.nearest]
    of = {"maximum": "maxima", "mean": "means"}[result.by]
    distance = "1 - cosine" if result.measure == "cosine" else "euclidean distance"
    title = (
        f"{result.image}: the nearest {len(rows)} of {counted(result.images, 'image')} by the {of} of "
        f"{result.description.layer(result.layer).title}"
    )
    headings = [(distance, "right"), ("image", "left"), ("label", "left")]
    return Group(Text(title, style="bold"), table(headings, rows))


def distribution_text(result: Distribution) -> str:
    """The numbers of a distribution, and its histogram in blocks."""
    quantiles = [f"{share}%: {'not known' if v is None else number(v, 4)}" for share, v in result.quantiles.items()]
    lines = [
        f"{result.title}: {result.values:,} values of {counted(result.images, 'image')}",
        f"  {number(result.minimum, 4)} to {number(result.maximum, 4)}, mean {number(result.mean, 4)}, "
        f"standard deviation {number(result.deviation, 4)}",
        f"  {result.fraction_positive:.1%} above 0; {result.positive_images:,} images have a value above 0",
        f"  quantiles {', '.join(quantiles)}",
    ]
    if result.counts is None or result.edges is None:
        return "\n".join(lines)
    most = max(result.counts) or 1
    bars = "".join(" ▁▂▃▄▅▆▇█"[-(-8 * count // most)] for count in result.counts)
    ends = f"{number(result.edges[0], 3)} to {number(result.edges[-1], 3)}"
    return "\n".join([*lines, f"  maxima per image |{bars}| {ends}, at most {counted(most, 'image')} in a bar"])


def selectivity_table(result: Selectivity) -> RenderableType:
    """One row per map, the most selective first; of a single map one row per label."""
    title = f"{result.title}, by the {result.by} of each image; {counted(sum(result.images.values()), 'image')}"
    if len(result.maps) == 1:
        only = result.maps[0]
        ordered = sorted(only.means.items(), key=lambda item: -item[1])
        rows = [[label, str(result.images[label]), number(mean, 4)] for label, mean in ordered]
        index = "not defined" if only.selectivity is None else f"{only.selectivity:.3f}"
        headings = [("label", "left"), ("images", "right"), ("mean", "right")]
        return Group(Text(title, style="bold"), table(headings, rows), Text(f"selectivity {index}"))
    ordered_maps = sorted(result.maps, key=lambda each: -(-1 if each.selectivity is None else each.selectivity))
    rows = [
        [
            each.address,
            "?" if each.selectivity is None else f"{each.selectivity:.3f}",
            each.label,
            number(each.best, 4),
            number(each.rest, 4),
        ]
        for each in ordered_maps
    ]
    headings = [
        ("map", "left"),
        ("selectivity", "right"),
        ("label", "left"),
        ("its mean", "right"),
        ("others", "right"),
    ]
    return Group(Text(title, style="bold"), table(headings, rows))


def comparison_table(result: Comparison) -> RenderableType:
    """One row per layer, then the maps by name."""
    headings = [("layer", "left"), ("maps", "right"), ("died", "right"), ("revived", "right"), ("changed", "right")]
    rows = [
        [layer.address, str(layer.maps), *(str(len(part)) for part in (layer.died, layer.revived, layer.changed))]
        for layer in result.layers
    ]
    lines = [line for layer in result.layers for line in _changes(layer)]
    only = [
        f"only in {path}: {', '.join(addresses[:_LISTED])}{' ...' if len(addresses) > _LISTED else ''}"
        for path, addresses in ((result.before, result.only_before), (result.after, result.only_after))
        if addresses
    ]
    title = f"{result.before} and {result.after}, {counted(result.images, 'image')} that both hold"
    words = f"changed: maxima over the images correlate less than {result.changed_below:g}"
    prepared = [result.preprocessing_before, result.preprocessing_after]
    if prepared[0] != prepared[1]:
        only.append(f"pictures were prepared differently, before: {prepared[0]}; after: {prepared[1]}")
    return Group(Text(title, style="bold"), table(headings, rows), *map(Text, (*lines, *only, words)))


def _changes(layer: LayerComparison) -> list[str]:
    parts = (("died", layer.died), ("revived", layer.revived), ("changed", layer.changed))
    return [f"{layer.address}: {word} {_channels(channels)}" for word, channels in parts if channels]


def verification_table(result: Verification) -> RenderableType:
    """Every problem, one row each, then what was found to be right."""
    rows = [["wrong", problem] for problem in result.problems] + [["right", words] for words in result.checked]
    said = "sound" if result.is_sound else counted(len(result.problems), "problem")
    return Group(Text(f"{result.path}: {said}", style="bold"), table([("", "left"), ("", "left")], rows))
