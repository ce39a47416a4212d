"""`Network`: one method per question about a network, each a thin call to `featmap.methods`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch

from featmap.api.arguments import checked_shape, execution_of, found_device, plain_tensors
from featmap.images.listing import Images, is_collection
from featmap.methods.contributions import Contributions, contributions
from featmap.methods.explain import Explanation, explain
from featmap.methods.maps import MapSet, feature_maps
from featmap.methods.matrix import LayerMatrix, layer_matrix
from featmap.methods.occlude import Cover, occlude
from featmap.methods.occlusion_cost import OcclusionCost, occlusion_cost
from featmap.methods.plan import Plan, plan
from featmap.methods.project import ProjectionTarget, project
from featmap.methods.receptive_field import FieldAnswer, FieldDrawing, draw_field, receptive_field
from featmap.methods.shared.projection import ProjectionQuestion, Projections, Start
from featmap.methods.shared.target import Activity, Scale, Target
from featmap.methods.shared.windows import Baseline, Sides
from featmap.methods.sheet import Sheet, sheet
from featmap.network.address import Address
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.network.preprocess import Preprocessing
from featmap.run.backward.roles import Norm, Rule
from featmap.run.batches import Progress
from featmap.run.execution import ExecutionOptions
from featmap.view.progress import default_progress


@dataclass(frozen=True)
class Layer:
    """One layer of a network: a convolution with its normalisation and nonlinearity, or a merge with its nonlinearity.

    `address` names it, `stages` are those that it has (of conv, z, a), `output_shape` is (channels, rows, columns).
    """

    address: str
    stages: tuple[str, ...]
    output_shape: tuple[int, ...]
    _network: CapturedNetwork
    _layer: CapturedLayer

    @property
    def receptive_field(self) -> FieldAnswer:
        """What the layer's units can see."""
        return receptive_field(self._network, f"{self.address}:{self._layer.last_stage}")

    def as_matrix(self, input_size: tuple[int, int] | None = None) -> LayerMatrix:
        """The layer's linear part as the sparse matrix that it is.

        Arguments: input_size: rows and columns of the layer's input map; as in the network, if not given.
        Raises: NoSuchStage: a merge has no weights. InputError: the matrix would be too large.
        """
        with plain_tensors():
            return layer_matrix(self._network, self._layer, input_size)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.output_shape))
        return f"Layer({self.address}: {shape}, stages {', '.join(self.stages)})"


class Network:
    """A network to ask questions of. Made by `featmap.load` and `featmap.trace`; the model itself is never changed."""

    def __init__(self, captured: CapturedNetwork) -> None:
        self._captured = captured

    @property
    def name(self) -> str:
        """The name that the network was loaded or traced under."""
        return self._captured.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image: (channel, row, column)."""
        return self._captured.input_shape

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures become inputs."""
        return self._captured.preprocessing

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in the order in which they run."""
        resolver = self._captured.resolver
        return tuple(self._layer(layer, resolver.channels(layer.nodes[-1])) for layer in self._captured.layers)

    def _layer(self, layer: CapturedLayer, channels: int) -> Layer:
        node = layer.nodes[-1]
        has_space = self._captured.sized.axes[node].has_space
        shape = (channels, *self._captured.sized.size(node)) if has_space else (channels,)
        return Layer(layer.name, tuple(layer.stages), shape, self._captured, layer)

    def plan(self, input_shape: tuple[int, ...] | None = None) -> Plan:
        """The table of all layers: shapes, parameters, multiply-adds, receptive fields, memory. Nothing is run.

        Arguments: input_shape: another (channel, row, column) than the network was loaded with.
        Raises: InputError: a layer cannot take what that size gives; `error.plan` is the table up to there.

        >>> import featmap as fm, torch
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5), torch.nn.ReLU())
        >>> fm.trace(module, (3, 32, 32)).plan()["0"].output_shape
        (6, 28, 28)
        """
        return plan(self._captured, None if input_shape is None else checked_shape(input_shape))

    def receptive_field(self, address: str | Address) -> FieldAnswer:
        """What a layer can see (size, stride, offset), or the exact input box of one unit.

        Decided by structure, never by weights; cut to the image at every layer. `status` says whether the answer is
        `exact`, a `hull` that contains the true pixels, or `whole` because an operator reads everything.
        Raises: AddressError.

        >>> import featmap as fm, torch
        >>> net = fm.trace(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5), torch.nn.ReLU()), (3, 32, 32))
        >>> net.receptive_field("0:a/0@0,27").box
        Box(top=0, left=27, bottom=5, right=32)

        Source: Araujo, Norris, Sim (2019), doi:10.23915/distill.00021; they refuse paths that are not aligned, we give
        the hull and say so.
        """
        return receptive_field(self._captured, address)

    def draw_field(self, image: Images, unit: str | Address) -> FieldDrawing:
        """The box of one unit drawn on a picture, as the network sees that picture.

        Arguments: image: as in `maps`, one image.
        Raises: AddressError, ImageError, InputError.
        """
        with plain_tensors():
            return draw_field(self._captured, image, unit)

    def maps(
        self,
        images: Images,
        layers: Sequence[str | Address] | str | Address | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        progress: Progress | bool | None = None,
    ) -> MapSet:
        """The feature maps of these images: a table from full address to `FeatureMaps`.

        Other maps are not kept, and nothing behind the last wanted layer is run.

        Arguments: images: a path, a PIL image or an array (row, column, channel); a folder, a list (.csv, .txt), a tar
        file or a glob; anything that gives these one by one, with labels or without; or a float tensor (image, channel,
        row, column) that is already preprocessed. All of one size. layers: addresses; every layer's activation (its
        last stage, where it has none) if not given. progress: `False` for none, or a function of (done, total); a bar
        after one second if not given.
        Returns: values as tensors (image, channel, row, column).
        Raises: AddressError, ImageError, InputError, TooLittleMemory.

        >>> import featmap as fm, torch
        >>> net = fm.trace(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5), torch.nn.ReLU()), (3, 32, 32))
        >>> net.maps(torch.zeros(2, 3, 32, 32), ["0:z"])["0:z"].values.shape
        torch.Size([2, 6, 28, 28])
        """
        with plain_tensors(), default_progress(progress, "feature maps") as report:
            return feature_maps(
                self._captured, images, layers, dtype=dtype, device=found_device(device), progress=report
            )

    def explain(self, image: Images, unit: str | Address) -> Explanation:
        """The arithmetic of one value: window, kernel and sum for every input channel, bias, normalisation, z, a.

        Computed in float64 from the layer's own input. Raises: AddressError, ImageError, InputError.
        """
        with plain_tensors():
            return explain(self._captured, image, unit)

    def contributions(self, image: Images, address: str | Address) -> Contributions:
        """What every input map contributes to one feature map; with the bias they sum to its stage conv."""
        with plain_tensors():
            return contributions(self._captured, image, address)

    def occlude(
        self,
        image: Images,
        target: Target = None,
        window: Sides = 16,
        stride: Sides = 8,
        baseline: Baseline = 0.0,
        *,
        scale: Scale = "logit",
        activity: Activity = "maximum",
        verify: int = 0,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> Any:
        """What in the picture a score depends on: a window is written over it, position by position.

        Exact: every score is that of the whole network on the occluded image; only what the window changes, and of
        that what the target needs, is computed again.

        Arguments: image: as in `maps`, of any sizes. target: a class index (also as text: "1" is class 1, `1:a/0` a map
        of layer 1); `None` for the predicted class; a position in another output, `(3, 10, 12)` or "['logits'][3]"; a
        map (`features.28:a/12`) or a unit by its address. window, stride: pixels, one number or (rows, columns);
        windows stay inside the image, the last of each axis is aligned with its edge. baseline: what is written, in
        preprocessed values: a number, one per channel, "mean" (of the image), "local" (of the window), or a function of
        the image (channel, row, column). scale: a class's "logit" or "probability". activity: a map's "maximum", "mean"
        or "sum". verify: so many random positions are computed again in full, in float64. dtype, device, memory_bytes:
        of the numbers, where they are computed, and how much one batch of positions takes.
        Returns: an `OcclusionMap`; a list of them for a folder, a list or a tensor of several images.
        Raises: SettingError, InputError, AddressError, ImageError.

        >>> import featmap as fm, torch
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())
        >>> found = fm.trace(module, (1, 8, 8)).occlude(torch.ones(1, 1, 8, 8), "0:a/1@0,0", window=2, stride=2)
        >>> found.grid.shape, bool(found.drop[2:].any())
        ((4, 4), False)

        Source: Zeiler, Fergus (2014), doi:10.1007/978-3-319-10590-1_53; Nakandala, Kumar, Papakonstantinou (2019),
        doi:10.1145/3299869.3319874, for recomputing only what changed.
        """
        execution = execution_of("occlude", options)
        with plain_tensors(), default_progress(progress, "occlusion", "windows") as report:
            found = occlude(
                self._captured,
                image,
                target,
                Cover(window, stride, baseline),
                scale=scale,
                activity=activity,
                verify=verify,
                execution=execution,
                progress=report,
            )
        return found if is_collection(image) or len(found) > 1 else found[0]

    def project(
        self,
        image: Images,
        target: ProjectionTarget = None,
        rule: Rule = "deconvnet",
        start: Start = "value",
        norm: Norm = "scale",
        *,
        whole: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> Any:
        """What in the picture a unit, a map or a class responds to: its signal, propagated back to the pixels.

        At every rectifier (ReLU, ReLU6, a clamp at 0: functional, reused or in place) the rule decides: "gradient" lets
        the signal through where the unit was active, "deconvnet" where the signal is positive, "guided" where both.
        Everything linear is transposed; maximum pools pass it to their switches, and where windows overlap signals add
        up; other nonlinearities use their gradient, and the result names them.

        Arguments: image: as in `maps`, of any sizes. target: a unit (`features.21:a/117@10,12`), a map (its strongest
        unit; with whole=True all positions with their values), a layer (every map) or a list of addresses of one layer;
        a class index (also as text: "1" is class 1, `1:a` layer 1), `None` for the predicted class, or a position in
        another output. start: the signal begins with the unit's "value" or with "one"; from stage conv or z it is
        rectified first, unless the rule is "gradient". norm: evaluating normalisations "scale" the signal, or "skip"
        it. dtype, device, memory_bytes: of the numbers, where they are computed, and how much one batch of units takes.
        Returns: a `Projection`; `Projections` for several maps or units; a list of them for a folder or a list of
        images.
        Raises: AddressError, SettingError, InputError, ImageError.

        >>> import featmap as fm, torch
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, bias=False), torch.nn.ReLU())
        >>> _ = module[0].weight.data.fill_(0.5)
        >>> found = fm.trace(module, (1, 8, 8)).project(torch.ones(1, 1, 8, 8), "0:a/1@0,5")
        >>> found.box, found.values.unique()
        (Box(top=0, left=5, bottom=3, right=8), tensor([2.2500]))

        Source: Zeiler, Fergus (2014), doi:10.1007/978-3-319-10590-1_53; Springenberg, Dosovitskiy, Brox, Riedmiller
        (2015), arXiv:1412.6806. The paper's contrast normalisation is left out, as there.
        """
        execution = execution_of("project", options)
        question = ProjectionQuestion(rule, start, norm)
        with plain_tensors(), default_progress(progress, "projections") as report:
            found = project(self._captured, image, target, question, whole=whole, execution=execution, progress=report)
        if is_collection(image):
            return found
        return found[0] if len(found) == 1 else Projections(found)

    def sheet(
        self,
        images: Images | None,
        layer: str | Address,
        channels: Sequence[int] | None = None,
        k: int = 9,
        rule: Rule = "deconvnet",
        start: Start = "value",
        norm: Norm = "scale",
        *,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> Sheet:
        """What the maps of a layer respond to: for each the k images that excite it most, one unit per image.

        Every example holds the crop of exactly what the unit can see and the unit's projection.

        Arguments: images: as in `maps`; in a folder or a tar file, pictures that cannot be read are skipped, and listed
        in the sheet. channels: the maps; all if not given. The rest as in `project`.
        Raises: ImagesNeeded, NoSuchChannel, AddressError, SettingError, ImageError.
        """
        execution = execution_of("sheet", options)
        question = ProjectionQuestion(rule, start, norm)
        with plain_tensors(), default_progress(progress, "sheet", "steps") as report:
            return sheet(self._captured, images, layer, question, channels, k, execution=execution, progress=report)

    def occlusion_cost(self, target: Target = 0, window: Sides = 16, stride: Sides = 8) -> OcclusionCost:
        """What an occlusion will recompute, per layer, and the most that can be gained; nothing is run."""
        return occlusion_cost(self._captured, target, window, stride)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return (
            f"Network({self.name}: input {shape}, {len(self._captured.layers)} layers, "
            f"weights: {self._captured.weights_source})"
        )
