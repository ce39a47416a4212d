"""A walk through featmap with a network that was trained a minute ago, on a photograph, written as one page."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from featmap.api import Network, load
from featmap.demo.crops import photograph
from featmap.demo.dataset import CROPS_NAME, INDEX_NAME, dataset, indexed
from featmap.demo.examples import projections
from featmap.demo.kept import WEIGHTS_NAME, Record
from featmap.demo.train import TrainedNetwork, trained_network
from featmap.errors import OutputError
from featmap.methods.explain import Explanation
from featmap.methods.maps import FeatureMaps
from featmap.methods.plan import MAC_CONVENTION, Plan
from featmap.methods.shared.occlusion import OcclusionMap
from featmap.view.drawing.overlay import Mark, box_picture
from featmap.view.output import save
from featmap.view.report.page import Report
from featmap.view.tables.parts import count, field_texts, shape_text, size_text

MODEL = "featmap.demo.train:demo_network"
PHOTOGRAPH = "cat"
FIRST, DEEP = "features.0", "features.12"
PHOTOGRAPH_SHAPE = (3, 296, 448)
"""The whole photograph, nearly pixel by pixel, in whole eights: the network was trained on crops of that scale."""


@dataclass(frozen=True)
class Tour:
    """The results of the walk: the report, all files, and commands to try next."""

    report: Path
    files: tuple[Path, ...]
    next_commands: tuple[str, ...]


def run_demo(folder: Path = Path("demo"), say: Callable[[str], None] = lambda _: None) -> Tour:
    """Trains (or reuses) the demo's network, walks through the product and writes `folder`/report.html.

    Every file is written whole or not at all, the report last.

    Raises: OutputError: the folder cannot be written. ImageMissing, MissingPackage: the photographs are not there.
    """
    with _made(folder):
        trained = trained_network(folder)
        say(f"Asking it about the photograph '{PHOTOGRAPH}' ...")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Walk(trained, folder).tour()


@contextmanager
def _made(folder: Path) -> Generator[None]:
    """The folder, made before the work so that an error comes at once; deleted again if it stays empty."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.exists() else error.strerror
        raise OutputError(f"The folder '{folder}' cannot be made: {reason}.", "Choose another folder.") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"The folder '{folder}' cannot be written.", "Choose another folder, or allow writing there.")
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


class _Walk:
    def __init__(self, trained: TrainedNetwork, folder: Path) -> None:
        self.folder = folder
        self.record: Record = trained.record
        self.net: Network = load(
            MODEL, weights=trained.weights, input_shape=PHOTOGRAPH_SHAPE, classes=trained.record.classes
        )
        self.small: Network = load(MODEL, weights=trained.weights, classes=trained.record.classes)
        self.picture = photograph(PHOTOGRAPH)
        self.framed: Image.Image = self.net.preprocessing.framed(self.picture)
        self.files: list[Path] = []

    def tour(self) -> Tour:
        self.files += save([self.framed], self._picture)
        report = self._intro()
        report = self._plan(report)
        report = self._maps(report)
        report = self._value(report)
        report = self._fields(report)
        report = self._occlusions(report)
        report = projections(report, self.net, self.small, self.picture, self._strongest(DEEP), self._keep)
        index = indexed(self.folder, self.small)
        self.files += [self.folder / CROPS_NAME, self.folder / INDEX_NAME]
        report = dataset(report, index, self._keep)
        commands = self._next()
        report = report.section("Go on").text("Three commands to try next:")
        report = report.code("\n".join(f"$ {line}" for line in commands), "console")
        path = report.save(self.folder / "report.html")
        return Tour(path, tuple(self.files), commands)

    def _intro(self) -> Report:
        record = self.record
        lead = (
            f"A small VGG-style network was trained on this machine in {record.training_s:.0f} s to tell from which of "
            f"{len(record.classes)} photographs a crop was cut. On {record.test_crops} crops from areas that it never "
            f"saw it is right in {record.accuracy:.1%}; guessing would be right in {record.chance:.1%}. Every picture "
            "and number below was measured on it."
        )
        return Report("A network, looked into", lead)

    def _plan(self, report: Report) -> Report:
        plan = self.net.plan()
        report = report.section("Plan: how big is every map, and why")
        report = report.text(
            "Before anything runs: shapes, parameters, multiply-adds and receptive fields follow from the network's "
            f"structure alone, here for the whole photograph ({shape_text(plan.input_shape)}). A unit's field is the "
            "square of input pixels that can influence it; stride is how far it moves from one unit to the next."
        )
        report = report.table(*_plan_cells(plan))
        totals = plan.totals
        return report.text(
            f"In all {totals.parameters:,} parameters and {totals.macs:,} multiply-adds for this image "
            f"({MAC_CONVENTION}). The maps take {size_text(totals.activation_bytes)}; with the input at most "
            f"{size_text(totals.peak_bytes)} are alive at once."
        )

    def _maps(self, report: Report) -> Report:
        report = report.section("Maps: what the layers hold")
        report = report.figure(self.framed, f"The photograph `{PHOTOGRAPH}` as the network sees it.", "a cat's face")
        wanted = [f"{FIRST}:z", f"{FIRST}:a", f"{DEEP}:z", f"{DEEP}:a"]
        maps = self.net.maps(self.picture, wanted, progress=False)
        for address in wanted:
            report = report.subsection(_heading(maps[address])).text(_map_words(maps[address]))
            pages = maps[address].pages(sort="maximum", page_size=32)
            self.files += save(pages, self.folder / f"{_file_name(address)}.png")
            report = report.figure(pages, _caption(maps[address]))
        return report

    def _value(self, report: Report) -> Report:
        explanation = self.net.explain(self.picture, self._strongest(DEEP))
        report = report.section("One value, taken apart")
        report = report.text(_value_words(explanation))
        pages = explanation.pages()
        self.files += save(pages, self.folder / "value.png")
        report = report.figure(pages, f"The arithmetic of `{explanation.address}`.")
        report = report.code(f"$ {self._command('explain', explanation.address)}\n{explanation}", "console")
        contributions = self.net.contributions(self.picture, explanation.address.partition("@")[0])
        report = report.subsection("What every input map contributes")
        report = report.text(
            "The same for the whole map: each input map, filtered with its own kernel. Together with the bias these "
            "pictures add up to the weighted sum, the stage `conv`."
        )
        pages = contributions.pages(page_size=33)
        self.files += save(pages, self.folder / "contributions.png")
        return report.figure(
            pages, f"Shares of all {len(contributions.channels)} input maps in `{contributions.address}`."
        )

    def _fields(self, report: Report) -> Report:
        report = report.section("Receptive fields: what a unit can see")
        report = report.text(
            "The box of one unit is exact: scrambling every pixel outside of it does not change the unit. Drawn are "
            "the strongest unit of a map in an early, a middle and a deep layer."
        )
        marks = [self._mark(layer) for layer in ("features.2", "features.7", DEEP)]
        picture = box_picture(self.framed, marks, "receptive fields of three units")
        self.files += save([picture], self.folder / "fields.png")
        return report.figure(
            picture, "Boxes in input pixels; the crops beside the photograph show what each unit sees."
        )

    def _occlusions(self, report: Report) -> Report:
        """Occlusions of the answer, and of one map's activity."""
        report = report.section("Occlusion: where does an answer come from")
        report = report.text(
            "A grey window is moved over the photograph and the score is watched: where it falls, the answer rested on "
            "what was covered. Each score is that of the whole network on the covered photograph; only what the window "
            "changes is computed again."
        )
        answer = self.net.occlude(self.picture, None, window=96, stride=16, progress=False)
        words = f"The score of the answer, the {answer.target}; {answer.windows.count} windows."
        report = self._occlusion(report, answer, "occlusion-class.png", words)
        address = self._strongest(DEEP).partition("@")[0]
        activity = self.net.occlude(self.picture, address, window=96, stride=16, activity="mean", progress=False)
        words = f"The mean of the feature map `{address}`, the strongest of its layer."
        return self._occlusion(report, activity, "occlusion-map.png", words)

    def _occlusion(self, report: Report, found: OcclusionMap, name: str, words: str) -> Report:
        self.files += found.save(self.folder / name)
        share = f"Recomputed: {found.recomputed_share:.1%} of the multiply-adds of one full run per window."
        shown = [found.show(), found.show(colours="effect")]
        return report.figure(shown, f"{words} {share} On page 2 full colour is the largest effect.")

    def _keep(self, pages: Sequence[Image.Image], name: str) -> None:
        """Writes pages into the demo's folder."""
        self.files += save(list(pages), self.folder / name)

    def _mark(self, layer: str) -> Mark:
        unit = self._strongest(layer)
        box = self.net.receptive_field(unit).box
        assert box is not None
        return Mark((box.top, box.left, box.bottom, box.right), unit)

    def _strongest(self, layer: str) -> str:
        """The address of the largest activation of a layer that is not on its border."""
        maps = self.net.maps(self.picture, layer, progress=False)[layer]
        inner = maps.values[0, :, 2:-2, 2:-2]
        channel, place = divmod(int(inner.flatten().argmax()), inner.shape[1] * inner.shape[2])
        row, column = divmod(place, inner.shape[2])
        return f"{layer}:a/{channel}@{row + 2},{column + 2}"

    def _next(self) -> tuple[str, ...]:
        unit = self._strongest(DEEP)
        if find_spec("torchvision") is not None:
            first = _line("plan", "torchvision:resnet50")
        else:
            first = _line("field", MODEL, unit, "--input", _input_text(), "--image", self._picture, "-o", "field.png")
        maps = self._command("maps", "--layer", f"{FIRST}:z", "-o", "z.png")
        return first, maps, _line("top", str(self.folder / INDEX_NAME), unit.partition("@")[0], "-o", "top.png")

    @property
    def _picture(self) -> str:
        return str(self.folder / f"{PHOTOGRAPH}.png")

    def _command(self, name: str, *words: str) -> str:
        """A command line that asks this network about this photograph."""
        weights = str(self.folder / WEIGHTS_NAME)
        return _line(name, MODEL, self._picture, *words, "--weights", weights, "--input", _input_text())


def _line(*words: str) -> str:
    return shlex.join(("featmap", *words))


def _input_text() -> str:
    return "x".join(map(str, PHOTOGRAPH_SHAPE))


def _plan_cells(plan: Plan) -> tuple[list[str], list[list[str | int]], str]:
    headings = ["layer", "operator", "output", "parameters", "MACs", "field", "stride", "stages"]
    rows: list[list[str | int]] = []
    for row in plan:
        size, stride, _ = field_texts(row.receptive_field)
        operator = f"{row.operator} {row.details}".strip()
        stages = " ".join(row.stages)
        output = shape_text(row.output_shape)
        rows.append([f"`{row.address}`", operator, output, row.parameters, count(row.macs), size, stride, stages])
    return headings, rows, "One row per layer; outputs are maps x rows x columns."


def _heading(maps: FeatureMaps) -> str:
    words = {"z": "before the nonlinearity", "a": "after it"}
    return f"{maps.address}, {words[maps.stage]}"


def _caption(maps: FeatureMaps) -> str:
    summary = maps.summary
    return (
        f"Values from {summary['minimum']:.3g} to {summary['maximum']:.3g}, mean {summary['mean']:.3g}; "
        f"{summary['fraction_positive']:.1%} are positive."
    )


def _map_words(maps: FeatureMaps) -> str:
    if maps.stage == "z":
        return (
            "The pre-activation: kernel times input plus bias, before ReLU. Blue is below zero, red above; what is "
            "blue here is gone in the next stage."
        )
    return "The activation: what ReLU lets through. A map that is zero everywhere is hatched."


def _value_words(explanation: Explanation) -> str:
    return (
        f"`{explanation.address}` is {explanation.value:.4g}. It is one window of the layer's {len(explanation.terms)} "
        f"input maps, multiplied value by value with the filter's kernels and summed; then the bias, then "
        f"{explanation.nonlinearity}. The sum below is the network's own value, to the last digits of a float64."
    )


def _file_name(address: str) -> str:
    return address.replace(":", "-").replace("/", "-")
