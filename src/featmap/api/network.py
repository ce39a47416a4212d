"""`Network`: one method per question about a network, each a thin call to `featmap.methods`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from featmap.api.arguments import checked_shape, found_device, plain_tensors
from featmap.api.picture_questions import PictureQuestions
from featmap.images.listing import Images, OneImage
from featmap.methods.contributions import Contributions, contributions
from featmap.methods.explain import Explanation, explain
from featmap.methods.maps import MapSet, feature_maps
from featmap.methods.matrix import LayerMatrix, layer_matrix
from featmap.methods.plan import Plan, plan
from featmap.methods.receptive_field import FieldAnswer, FieldDrawing, draw_field, receptive_field
from featmap.network.address import Address
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.network.preprocess import Preprocessing
from featmap.run.batches import Progress
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


class Network(PictureQuestions):
    """A network to ask questions of. Made by `featmap.load` and `featmap.trace`; the model itself is never changed."""

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
    def classes(self) -> tuple[str, ...] | None:
        """The names of the scores that it returns, in their order; None where they are not known."""
        return self._captured.classes

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

    def draw_field(self, image: OneImage, unit: str | Address) -> FieldDrawing:
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

    def explain(self, image: OneImage, unit: str | Address) -> Explanation:
        """The arithmetic of one value: window, kernel and sum for every input channel, bias, normalisation, z, a.

        Of a sum, a concatenation, a pool or a resize what each operand gives; of a group, instance or layer
        normalisation the mean and variance too. Computed in float64 from the layer's own input.
        Raises: AddressError, ImageError, InputError.
        """
        with plain_tensors():
            return explain(self._captured, image, unit)

    def contributions(self, image: OneImage, address: str | Address) -> Contributions:
        """What every input map contributes to one feature map; with the bias they sum to its stage conv."""
        with plain_tensors():
            return contributions(self._captured, image, address)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return (
            f"Network({self.name}: input {shape}, {len(self._captured.layers)} layers, "
            f"weights: {self._captured.weights_source})"
        )
