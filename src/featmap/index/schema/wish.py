"""What a user wants an index to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from featmap.errors import SettingError
from featmap.index.schema.described import Described
from featmap.network.address import Address

CORRELATIONS = ("auto", "all", "none")
STAGES = ("conv", "z", "a")


class WishOptions(TypedDict, total=False):
    """What a user wants kept, beside the layers, as keywords and as options of the command line; see `Wish`."""

    stage: Annotated[str | None, Described("conv, z or a, of layers that have it.", default="a")]
    top_k: Annotated[int | None, Described("Strongest images of each map.", "N", "100")]
    table: Annotated[
        bool | None,
        Described(
            "Four numbers per image and map. Filters, similar, selectivity and compare need them.",
            default="table",
            can_be_off=True,
        ),
    ]
    full: Annotated[
        Sequence[str | Address] | None, Described("Whole maps of these layers, as float16. Large.", "ADDRESS")
    ]
    correlation: Annotated[
        str | None,
        Described(
            "How the maps of a layer vary together: over all positions, a sample (auto), or not at all (none).",
            default="auto",
        ),
    ]
    quantile_bytes: Annotated[
        int | None, Described("What the largest values, for exact quantiles, may take.", "N", "32 MiB")
    ]
    block: Annotated[
        int | None, Described("Images per commit; an interrupt loses less than one block.", "N", "up to 1024")
    ]


@dataclass(frozen=True)
class Wish:
    """What a user wants kept; None means as the existing index has it, or else the default.

    `layers`: addresses; every layer by default. `stage` is taken of layers named without one that have it, and where no
    layers are named of all that have it; default a. `top_k` images are kept for every map; default 100. `table` keeps
    every image's maximum, its position, mean and number of positives of every map; default True. `full` names layers
    whose whole maps are kept, as float16. `correlation`: "auto" correlates maps over as many positions per image as
    cost a hundredth of the network itself, "all" over all, "none" over none. `quantile_bytes` is what the largest
    values of all maps may take. `block` images are read before each commit.
    """

    layers: Sequence[str | Address] | None = None
    stage: str | None = None
    top_k: int | None = None
    table: bool | None = None
    full: Sequence[str | Address] | None = None
    correlation: str | None = None
    quantile_bytes: int | None = None
    block: int | None = None

    def check(self) -> None:
        """Raises: SettingError."""
        for name, least in (("top_k", 1), ("block", 1), ("quantile_bytes", 0)):
            _check_count(name, getattr(self, name), least)
        for name, allowed in (("correlation", CORRELATIONS), ("stage", STAGES)):
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise SettingError(f"{name} is {value!r}.", f"It is one of {', '.join(allowed)}.")
        for name in ("layers", "full"):
            value = getattr(self, name)
            if isinstance(value, bytes) or not isinstance(value, str | Address | Iterable | None):
                raise SettingError(
                    f"{name} is {value!r}, no list of addresses.", f"Give a list: {name}=['features.21']."
                )
            if isinstance(value, str | Address):
                raise SettingError(f"{name} is {str(value)!r}, one address.", f"Give a list: {name}=[{str(value)!r}].")


def _check_count(name: str, value: Any, least: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise SettingError(f"{name} is {value!r}.", f"Give a whole number from {least} on.")
