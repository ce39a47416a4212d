"""The audit of an index: maps of no use, layer by layer and in total, as `featmap.statistics.health` judges them.

sparsity        the share of values that are not above 0
beyond input    layers whose receptive field is larger than the input
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from operator import ge, gt, le, lt
from typing import Any

from featmap.errors import NotKept, SettingError
from featmap.index.questions.chosen import check_any, check_rectified
from featmap.index.schema.description import IndexedLayer
from featmap.index.store.snapshot import Snapshot
from featmap.plain_data import PlainData
from featmap.result_table import TableResult
from featmap.statistics.health import COUNTED, KINDS, Pair, Thresholds, health, redundant_pairs


@dataclass(frozen=True)
class LayerAudit:
    """What is wrong with the maps of one layer: channels by what they are.

    `redundant_pairs` is None where correlations are not kept; `correlated` is the number of positions per image that
    they are over, out of `places`. `sees_beyond_input`: its receptive field is larger than the input. Where the layer
    is not `rectified`, no map is dead or nearly dead; those that are never above 0 are `never_positive`.
    """

    address: str
    maps: int
    rectified: bool
    dead: tuple[int, ...]
    nearly_dead: tuple[int, ...]
    never_positive: tuple[int, ...]
    constant: tuple[int, ...]
    saturated: tuple[int, ...]
    sparsity: float
    redundant_pairs: tuple[Pair, ...] | None
    correlated: int
    places: int
    sees_beyond_input: bool
    magnitudes: bool = False

    def to_dict(self) -> dict[str, PlainData]:
        """The layer as plain data."""
        plain = {name: value for name, value in vars(self).items() if name != "magnitudes"}
        said = {"numbers_of": "magnitudes"} if self.magnitudes else {}
        channels = {name: list(getattr(self, name)) for name in COUNTED}
        pairs = None if self.redundant_pairs is None else [list(pair) for pair in self.redundant_pairs]
        return {**plain, **said, **channels, "redundant_pairs": pairs}

    def counts(self) -> dict[str, PlainData]:
        """The number of channels of each kind."""
        pairs = None if self.redundant_pairs is None else len(self.redundant_pairs)
        found: dict[str, Any] = {"address": self.address, "maps": self.maps, "rectified": self.rectified}
        found |= {name: len(getattr(self, name)) for name in COUNTED}
        return {**found, "sparsity": self.sparsity, "redundant_pairs": pairs, "beyond_input": self.sees_beyond_input}


@dataclass(frozen=True)
class Audit(TableResult):
    """The audit of an index of so many images."""

    path: str
    model: str
    weights_source: str
    images: int
    thresholds: Thresholds
    layers: tuple[LayerAudit, ...]

    @property
    def totals(self) -> dict[str, float | None]:
        """All layers together: numbers of maps, the mean sparsity of a map, redundant pairs where they are known."""
        maps = sum(layer.maps for layer in self.layers)
        known = [len(layer.redundant_pairs) for layer in self.layers if layer.redundant_pairs is not None]
        found: dict[str, float | None] = {"maps": maps}
        found |= {name: sum(len(getattr(layer, name)) for layer in self.layers) for name in COUNTED}
        found["sparsity"] = sum(layer.sparsity * layer.maps for layer in self.layers) / max(maps, 1)
        found["redundant_pairs"] = sum(known) if known else None
        return {**found, "beyond_input": sum(layer.sees_beyond_input for layer in self.layers)}

    def _data(self) -> dict[str, Any]:
        return {
            "index": self.path,
            "model": self.model,
            "weights": self.weights_source,
            "images": self.images,
            "thresholds": vars(self.thresholds),
            "layers": [layer.to_dict() for layer in self.layers],
            "totals": self.totals,
        }

    def rows(self) -> list[dict[str, PlainData]]:
        """One row of counts per layer."""
        return [layer.counts() for layer in self.layers]

    def __repr__(self) -> str:
        totals = self.totals
        return f"Audit({self.model}, {self.images} images: {totals['dead']} of {totals['maps']} maps are dead)"


def audit(snapshot: Snapshot, thresholds: Thresholds) -> Audit:
    """The audit of an index; see `featmap.Index.audit`."""
    thresholds.check()
    description = snapshot.description
    check_any(snapshot)
    check_rectified(snapshot)
    layers = tuple(_layer(snapshot, number, layer, thresholds) for number, layer in enumerate(description.layers))
    return Audit(snapshot.path, description.model, description.weights_source, snapshot.images, thresholds, layers)


def _layer(snapshot: Snapshot, number: int, layer: IndexedLayer, thresholds: Thresholds) -> LayerAudit:
    found = snapshot.per_map(layer.maps)
    rectified = bool(layer.rectified)
    judged = health(
        found, snapshot.images, layer.places, rectified=rectified, bounds=layer.bounds, thresholds=thresholds
    )
    field = layer.field["size"]
    comoments = snapshot.comoments(number)
    return LayerAudit(
        address=layer.address,
        maps=layer.channels,
        rectified=rectified,
        **{name: judged.channels(name) for name in COUNTED},
        sparsity=1 - int(found.positive.sum()) / (snapshot.images * layer.places * layer.channels),
        redundant_pairs=None if comoments is None else redundant_pairs(comoments, thresholds.redundant),
        correlated=layer.correlated,
        places=layer.places,
        sees_beyond_input=any(side > limit for side, limit in zip(field, layer.input_size, strict=True)),
        magnitudes=bool(layer.magnitudes),
    )


_COMPARED = {">": gt, ">=": ge, "<": lt, "<=": le}
_RULE = re.compile(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*([0-9.]+)\s*(%?)\s*")


@dataclass(frozen=True)
class FailOn:
    """A bound that the totals of an audit must not break: `dead>5%`, `redundant_pairs>=10`, `sparsity<0.2`."""

    text: str
    name: str
    compare: str
    bound: float
    is_share: bool

    @staticmethod
    def parse(text: str) -> FailOn:
        """The bound that a text states.

        Raises: SettingError.

        >>> FailOn.parse("dead>5%").bound
        5.0
        """
        found = _RULE.fullmatch(text)
        names = (*KINDS, "sparsity", "redundant_pairs", "beyond_input")
        try:
            bound = float(found[3]) if found else 0.0
        except ValueError:
            found, bound = None, 0.0
        if found is None or found[1] not in names:
            raise SettingError(
                f"'{text}' is not a bound of an audit.",
                "Write NAME>NUMBER or NAME>NUMBER%, such as dead>5%; NAME is one of "
                f"{', '.join(names)}, and >= < <= compare too.",
            )
        if found[4] and found[1] in ("redundant_pairs", "beyond_input"):
            raise SettingError(f"'{text}': {found[1]} is a number, no share of the maps.", f"Write {found[1]}>0.")
        most = 100 if found[4] else 1 if found[1] == "sparsity" else None
        if most is not None and bound > most:
            raise SettingError(f"'{text}': no share is above {most}.", f"Write {found[1]}{found[2]}30%, for instance.")
        return FailOn(text.strip(), found[1], found[2], bound, bool(found[4]))

    def broken_by(self, audit: Audit) -> str:
        """The violation in words; '' where there is none. Raises: NotKept: the audit does not know."""
        totals = audit.totals
        value = totals[self.name]
        if value is None:
            raise NotKept(
                f"'{self.text}': '{audit.path}' keeps no correlations.", "Build the index with correlation='auto'."
            )
        # In whole numbers: 7 of 100 maps are not more than 7%, but as floats they would be.
        exact = Fraction(value).limit_denominator(10**9)
        share = exact if self.name == "sparsity" else exact / max(totals["maps"] or 0, 1)
        measured = 100 * share if self.is_share else exact
        if not _COMPARED[self.compare](measured, Fraction(str(self.bound))):
            return ""
        said = f"{float(measured):.4g}%" if self.is_share else f"{value:.4g}" if self.name == "sparsity" else f"{value}"
        return f"{self.text}: {self.name} is {said}"
