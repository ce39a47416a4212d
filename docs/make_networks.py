"""Writes docs/networks.md: the plan of every network on which plans are checked, in one line each.

Run from anywhere: python docs/make_networks.py
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from featmap.errors import FeatmapError
from featmap.methods.plan import MAC_CONVENTION, Plan, plan
from featmap.network.network import CapturedNetwork
from featmap.sources.load import load_network
from featmap.testing.zoo import TRANSFORMERS, timm_families, zoo_names

PAGE = Path(__file__).with_name("networks.md")

WILD = "## Networks of other packages"

COLUMNS = "| network | input | layers | parameters | MACs | last map | receptive field | operators not in the table |"
RULES = "|---|---|---:|---:|---:|---|---|---|"

TEXT = """# Networks that are checked

Captured: {torchvision_rate} classification networks of torchvision, which is all but its transformers
({transformers}), and {timm_rate} networks of timm, of {family_count} convolutional families and
some that mix convolutions with attention.

For each of them `tests/parity/test_zoo.py` compares the plan with the network itself, run on tensors without memory
(one of each family in every test run, all of them in `make wild`):
the shape that every module gives, the number of parameters, and the multiply-adds as torch's own counter sees them.
This page is written by `python docs/make_networks.py`; no number in it is typed by hand.

- Versions: {versions}.
- Multiply-adds (MACs): {convention}.
  What does not depend on the image, such as standardising weights, is not counted.
  "at least" stands where an operator's cost is unknown.
- Last map: the last layer whose maps have more than one row and column. Receptive field: what its units see of the
  input, rows x columns, uncut. `exact`: a full box; `hull`: a box with holes, or channels that differ; `whole`: an
  operator on the way reads its whole map, such as squeeze-and-excitation or a normalisation over the map.
- Operators not in the table are treated as reading everything: right, never fast.
- Maps: {without_maps:,} of {convolutions:,} calls of 2-D convolutions have no maps of rows and columns.

{refused}
## torchvision

{torchvision_table}

## timm

{timm_table}
"""


def line(network: CapturedNetwork, found: Plan) -> str:
    """A network's row of the table."""
    macs = f"{found.totals.macs:,}"
    cells = [
        network.name.partition(":")[2],
        " x ".join(map(str, found.input_shape)),
        str(len(network.layers)),
        f"{found.totals.parameters:,}",
        f"at least {macs}" if found.totals.unknown_macs else macs,
        *last_map(network, found),
        ", ".join(f"`{operator}`" for operator in network.unknown_operators),
    ]
    return f"| {' | '.join(cells)} |"


def last_map(network: CapturedNetwork, found: Plan) -> tuple[str, str]:
    """The address of the last layer that has maps, and what its units see."""
    made = {layer.name: layer.stages[layer.last_stage] for layer in network.layers}
    layers = {name for name, node in made.items() if network.sized.axes[node].has_space}
    rows = (row for row in reversed(found.layers) if row.address in layers and len(row.output_shape) == 3)
    row = next(row for row in rows if row.output_shape[1:] != (1, 1))
    field = row.receptive_field
    return f"`{row.address}`", f"{field.size[0]} x {field.size[1]}, {field.status}"


@dataclass(frozen=True)
class Entry:
    """A network: its row, or the reason why it has none; its 2-D convolution calls, and those that have no maps."""

    model: str
    line: str = ""
    reason: str = ""
    convolutions: int = 0
    without_maps: int = 0


def entry(model: str) -> Entry:
    """What is found out about one network."""
    try:
        network = load_network(model)
        have_maps = convolutions(network)
        return Entry(model, line(network, plan(network)), "", len(have_maps), have_maps.count(False))
    except FeatmapError as refusal:
        return Entry(model, reason=" ".join(str(refusal).split()))


def convolutions(network: CapturedNetwork) -> list[bool]:
    """For every call of a 2-D convolution whether its maps have the rows and columns that it computes."""
    sized = network.sized
    calls = [sized.call(node) for node in network.graph if sized.operator(node).is_convolution]
    nodes = [call.node for call in calls if call.node.depends_on_input and len(call["weight"].shape) == 4]
    return [sized.size(node.index) == sized.shape(node.index)[-2:] for node in nodes]


def versions() -> str:
    """What the numbers were made with."""
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in ("torch", "torchvision", "timm"))


def page(entries: Iterable[Entry]) -> str:
    """The whole document."""
    entries = list(entries)
    refused = [f"- `{one.model}`: {one.reason}" for one in entries if one.reason]
    return TEXT.format(
        transformers=", ".join(f"`{name}*`" for name in TRANSFORMERS),
        family_count=len(timm_families()),
        torchvision_rate=rate(entries, "torchvision:"),
        timm_rate=rate(entries, "timm:"),
        versions=versions(),
        convention=MAC_CONVENTION,
        convolutions=sum(one.convolutions for one in entries),
        without_maps=sum(one.without_maps for one in entries),
        refused="Refused:\n\n" + "\n".join(refused) + "\n" if refused else "None is refused.\n",
        torchvision_table=table(entries, "torchvision:"),
        timm_table=table(entries, "timm:"),
    )


def rate(entries: list[Entry], zoo: str) -> str:
    """How many of a zoo's networks are captured."""
    lines = [one.line for one in entries if one.model.startswith(zoo)]
    return f"{sum(map(bool, lines))} of {len(lines)}"


def table(entries: list[Entry], zoo: str) -> str:
    """The rows of one zoo."""
    return "\n".join([COLUMNS, RULES, *(one.line for one in entries if one.line and one.model.startswith(zoo))])


def main() -> None:
    """Writes the page."""
    names = zoo_names()
    entries: list[Entry] = []
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        for number, found in enumerate(workers.map(entry, names), start=1):
            print(f"{number}/{len(names)} {found.model}", flush=True)
            entries.append(found)
    # What `make wild` wrote stays.
    _, heading, others = PAGE.read_text(encoding="utf-8").partition(WILD)
    PAGE.write_text(page(entries) + (f"\n{heading}{others}" if heading else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
