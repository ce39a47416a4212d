"""`Index`: one method per question about a dataset, each a thin call to `featmap.index`.

Every question reads the newest state of the index, so one can be asked while a build is still going on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from featmap.api.arguments import check_options, found_device, plain_tensors
from featmap.api.network import Network
from featmap.errors import InputError, QuestionError
from featmap.images.listing import Images, OneImage
from featmap.index.build.build import BuildReport, build_index
from featmap.index.build.engines import engine_of, option_names
from featmap.index.build.options import IndexOptions
from featmap.index.questions.audit import Audit, audit
from featmap.index.questions.chosen import Choice, Subset, names
from featmap.index.questions.compare import CHANGED_BELOW, Comparison, compare
from featmap.index.questions.distribution import BINS, Distribution, distribution
from featmap.index.questions.query import By, query_of, query_of_picture
from featmap.index.questions.selectivity import Selectivity, selectivity
from featmap.index.questions.similar import Measure, SimilarImages, similar
from featmap.index.questions.summary import IndexSummary, summary
from featmap.index.questions.top import TopImages, TopSheet, Values, top, top_sheet
from featmap.index.schema.description import Description
from featmap.index.schema.wish import Wish, WishOptions
from featmap.index.store.snapshot import Snapshot
from featmap.index.verify.verify import Verification, verify
from featmap.network.address import Address
from featmap.run.batches import Progress
from featmap.statistics.health import Thresholds
from featmap.view.progress import default_progress


def _check_network(net: Any) -> None:
    if not isinstance(net, Network):
        problem = f"An index is of a Network, got {type(net).__name__}."
        raise InputError(problem, "Use featmap.load or featmap.trace.")


class Index:
    """What the maps of a network hold over a dataset, on disk. Made by `Index.build`, opened by `Index.open`.

    `report` says what the build did that made this object, None where it was opened.
    """

    def __init__(self, path: str | Path, report: BuildReport | None = None) -> None:
        self.path = str(path)
        self.report = report
        self._seen: Snapshot | None = None

    @staticmethod
    def open(path: str | Path) -> Index:
        """The index at a path or an object store's URL. Raises: NoIndex, IndexBroken."""
        found = Index(path)
        found._now()
        return found

    @staticmethod
    def build(
        net: Network,
        images: Images,
        path: str | Path,
        layers: Sequence[str | Address] | str | Address | None = None,
        *,
        progress: Progress | bool | None = None,
        **options: Unpack[IndexOptions],
    ) -> Index:
        """Measures every image once and keeps what its maps hold; extends an index that exists already.

        Each block of images is one commit: whatever ends a build, the index holds whole blocks, and building again goes
        on from there and adds new images. Images that cannot be read are kept in a list with the reason.

        Arguments: images: a folder, a list (.csv, .tsv, .txt), a tar file, a glob, or anything that gives images, or
        pairs of an image and its label, one by one. layers: addresses; every layer's activation (its last stage, where
        it has none) if not given. stage: taken of layers that have it; "a" if not given. top_k: strongest images kept
        of each map; 100 if not given. table: keep every image's maximum, its position, mean and number of positives of
        every map; True if not given. full: layers whose whole maps are kept, as float16. correlation: "auto", over as
        many positions per image as cost a hundredth of the network; "all" or "none". quantile_bytes: what the largest
        values, for exact quantiles, may take; 32 MiB if not given. block: images per commit. engine: "local", or "ray"
        with so many `workers` and a cluster's `address`, or one that was registered, with its options. strict: an image
        that cannot be read ends the build. retry: try those again that could not be read. Raises: OtherIndex: the index
        there is of another network, preprocessing or setting. NoIndex: something else is there. IndexBusy: another
        builder is at work. IndexBroken, AddressError, InputError, ImageError, SettingError.

        >>> import featmap as fm, tempfile, torch
        >>> net = fm.trace(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5), torch.nn.ReLU()), (3, 32, 32))
        >>> folder = tempfile.TemporaryDirectory()
        >>> fm.Index.build(net, torch.rand(20, 3, 32, 32), f"{folder.name}/noise.fmi").images
        20
        >>> folder.cleanup()
        """
        _check_network(net)
        check_options("build", options, IndexOptions.__annotations__.keys() | option_names())
        kept = {name: value for name, value in options.items() if name in WishOptions.__annotations__}
        listed = [layers] if isinstance(layers, str | Address) else layers
        wish = Wish(listed, **kept)  # pyright: ignore[reportArgumentType]
        settings = {name: value for name, value in options.items() if name in option_names()}
        engine = engine_of(options.get("engine", "local"), settings)
        with plain_tensors(), default_progress(progress, "index") as report:
            done = build_index(
                net._captured,  # pyright: ignore[reportPrivateUsage]
                images,
                path,
                wish,
                engine,
                device=found_device(options.get("device")),
                strict=options.get("strict", False),
                retry=options.get("retry", False),
                progress=report,
            )
        return Index(path, done)

    def _now(self) -> Snapshot:
        self._seen = Snapshot.of(self.path) if self._seen is None else self._seen.newest()
        return self._seen

    @property
    def description(self) -> Description:
        """What the index says of itself: network, preprocessing, layers, and what is kept."""
        return self._now().description

    @property
    def images(self) -> int:
        """How many images it holds."""
        return self._now().images

    @property
    def layers(self) -> tuple[str, ...]:
        """The addresses of the indexed layers."""
        return tuple(layer.address for layer in self.description.layers)

    def names(self) -> list[str]:
        """Every image's name, in the order of their numbers."""
        return [name for _, name in names(self._now())]

    def summary(self) -> IndexSummary:
        """Its content: network, layers, images, labels, and the images that could not be read."""
        return summary(self._now())

    def top(
        self,
        address: str | Address,
        k: int | None = None,
        *,
        label: str | Sequence[str] | None = None,
        subset: Subset = None,
        least: float | None = None,
        most: float | None = None,
    ) -> TopImages:
        """The k images that excite a map most, each with its strongest unit and exactly the pixels that it can see.

        Without a filter they were kept during the build, at most `top_k`; with one the table is searched.
        Arguments: address: a map, `features.21:a/117`. k: 9 if not given, or as many as were kept. label:
        only images with that label, or one of these. subset: image numbers, names, a slice of numbers, or a pattern of
        names. least, most: bounds of the value.
        Raises: NotKept, NoSuchChannel, SettingError.
        """
        return top(self._now(), address, k, Choice(label, subset), Values(least, most))

    def top_sheet(
        self,
        layer: str | Address,
        channels: Sequence[int] | None = None,
        k: int | None = None,
        *,
        label: str | Sequence[str] | None = None,
        subset: Subset = None,
        least: float | None = None,
        most: float | None = None,
    ) -> TopSheet:
        """The same for several maps of a layer, all of them if no channels are named."""
        return top_sheet(self._now(), layer, k, Choice(label, subset), Values(least, most), channels)

    def audit(self, nearly_dead: float = 0.01, saturated: float = 0.99, redundant: float = 0.95) -> Audit:
        """The maps that are dead, nearly dead, constant, saturated or redundant, by layer and in total.

        Only maps behind a nonlinearity that is 0 on a half line, such as ReLU, can be dead; others that are never above
        0 are `never_positive`, which is not a fault.

        Arguments: nearly_dead: above 0 on less than this share of the images. saturated: at a bound of the nonlinearity
        at this share of the positions or more. redundant: pairs with at least this correlation, of either sign.
        Raises: SettingError, NotKept.
        """
        return audit(self._now(), Thresholds(nearly_dead, saturated, redundant))

    def similar(
        self,
        image: int | OneImage,
        layer: str | Address,
        k: int = 9,
        *,
        by: By = "maximum",
        measure: Measure = "cosine",
        label: str | Sequence[str] | None = None,
        subset: Subset = None,
        net: Network | None = None,
    ) -> SimilarImages:
        """The k images whose maps of a layer are nearest to those of one image, by their maxima or means.

        Arguments: image: its number or name in the index; with `net`, the network of the index, any image.
        Raises: NotKept, OtherIndex, SettingError, ImageError.
        """
        snapshot = self._now()
        if net is None:
            query = query_of(snapshot, image, layer, by)
        else:
            with plain_tensors():
                query = query_of_picture(snapshot, net._captured, image, layer, by)  # pyright: ignore[reportPrivateUsage]
        return similar(snapshot, query, layer, k, Choice(label, subset), by, measure)

    def distribution(self, address: str | Address, bins: int = BINS) -> Distribution:
        """One map over all images: moments, exact high quantiles, a histogram of its maxima. Raises: NotKept."""
        return distribution(self._now(), address, bins)

    def selectivity(self, address: str | Address, by: By = "mean") -> Selectivity:
        """How much the maps of a layer, or one map, prefer one label.

        Source: Morcos, Barrett, Rabinowitz, Botvinick (2018), arXiv:1803.06959. Raises: NotKept.
        """
        return selectivity(self._now(), address, by)

    def compare(self, after: Index | str | Path, changed_below: float = CHANGED_BELOW) -> Comparison:
        """How the maps changed in another index of the same images, of a later checkpoint for instance.

        Raises: OtherIndex: they have no image or no layer in common. NotKept: one keeps no table.
        """
        path = after.path if isinstance(after, Index) else after
        return compare(self._now(), Snapshot.of(path), changed_below)

    def verify(
        self, *, files: bool = False, net: Network | None = None, progress: Progress | bool | None = None
    ) -> Verification:
        """What was checked of the index, and what is wrong with it, even where it cannot be opened any more.

        Every array is read, and the totals are computed again from the table. An index that `Index.open` refuses is
        verified by `Index(path).verify()`.
        Arguments: files: also check that every image in a file has the bytes that were measured. net: also check that
        this is the network of the index, and measures some of the images as it did.
        Raises: NoIndex: there never was an index.
        """
        if net is not None:
            _check_network(net)
        network = None if net is None else net._captured  # pyright: ignore[reportPrivateUsage]
        with plain_tensors(), default_progress(progress, "files") as report:
            return verify(self.path, files=files, network=network, progress=report)

    def __len__(self) -> int:
        return self.images

    def __repr__(self) -> str:
        try:
            found = self._now()
        except QuestionError as error:
            return f"Index({self.path}: {error.problem})"
        maps = found.description.maps
        return f"Index({self.path}: {found.description.model}, {found.images} images, {maps} maps)"
