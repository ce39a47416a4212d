"""The questions about what in a picture matters: occlusions, projections and sheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, overload

from featmap.api.arguments import execution_of, plain_tensors
from featmap.images.listing import Images, OneImage, SeveralImages, is_collection
from featmap.methods.occlude import Cover, occlude
from featmap.methods.occlusion_cost import OcclusionCost, occlusion_cost
from featmap.methods.project import ProjectionTarget, SeveralTargets, names_several, project
from featmap.methods.shared.occlusion import OcclusionMap, OcclusionMaps
from featmap.methods.shared.projection import Projection, ProjectionQuestion, Projections, ProjectionsByImage, Start
from featmap.methods.shared.target import Activity, Scale, Target
from featmap.methods.shared.windows import Baseline, Sides
from featmap.methods.sheet import Sheet, sheet
from featmap.network.address import Address
from featmap.network.network import CapturedNetwork
from featmap.run.backward.roles import Norm, Rule
from featmap.run.batches import Progress
from featmap.run.execution import ExecutionOptions
from featmap.view.progress import default_progress


class PictureQuestions:
    """What in a picture an answer, a map or a unit depends on: the part of `Network` that asks it."""

    def __init__(self, captured: CapturedNetwork) -> None:
        self._captured = captured

    @overload
    def occlude(
        self,
        image: OneImage,
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
    ) -> OcclusionMap: ...
    @overload
    def occlude(
        self,
        image: SeveralImages,
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
    ) -> OcclusionMaps: ...
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
    ) -> OcclusionMap | OcclusionMaps:
        """What in the picture a score depends on: a window is written over it, position by position.

        Exact: every score is that of the whole network on the occluded image; only what the window changes, and of
        that what the target needs, is computed again.

        Arguments: image: as in `maps`, of any sizes. target: a class by its number (also as text: "1" is class 1,
        `1:a/0` a map of layer 1) or, where `classes` are known, its name; `None` for the predicted class; a position in
        another output, `(3, 10, 12)` or "['logits'][3]"; a map (`features.28:a/12`) or a unit by its address. window,
        stride: pixels, one number or (rows, columns); windows stay inside the image, the last of each axis is aligned
        with its edge. baseline: what is written, in preprocessed values: a number, one per channel, "mean" (of the
        image), "local" (of the window), or a function of the image (channel, row, column). scale: a class's "logit" or
        "probability". activity: a map's "maximum", "mean" or "sum". verify: so many random positions are computed again
        in full, in float64. dtype, device, memory_bytes: of the numbers, where they are computed, and how much one
        batch of positions takes.
        Returns: an `OcclusionMap`; of several images (a list, a folder, a tensor of several) `OcclusionMaps`, in order.
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
        return OcclusionMaps(found) if is_collection(image) or len(found) > 1 else found[0]

    @overload
    def project(
        self,
        image: OneImage,
        target: Target = None,
        rule: Rule = "deconvnet",
        start: Start = "value",
        norm: Norm = "scale",
        *,
        whole: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> Projection: ...
    @overload
    def project(
        self,
        image: OneImage,
        target: SeveralTargets,
        rule: Rule = "deconvnet",
        start: Start = "value",
        norm: Norm = "scale",
        *,
        whole: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> Projections: ...
    @overload
    def project(
        self,
        image: SeveralImages,
        target: Target = None,
        rule: Rule = "deconvnet",
        start: Start = "value",
        norm: Norm = "scale",
        *,
        whole: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> Projections: ...
    @overload
    def project(
        self,
        image: SeveralImages,
        target: SeveralTargets,
        rule: Rule = "deconvnet",
        start: Start = "value",
        norm: Norm = "scale",
        *,
        whole: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ExecutionOptions],
    ) -> ProjectionsByImage: ...
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
    ) -> Projection | Projections | ProjectionsByImage:
        """What in the picture a unit, a map or a class responds to: its signal, propagated back to the pixels.

        At every rectifier (ReLU, ReLU6, a clamp at 0: functional, reused or in place) the rule decides: "gradient" lets
        the signal through where the unit was active, "deconvnet" where the signal is positive, "guided" where both.
        Everything linear is transposed; maximum pools pass it to their switches, and where windows overlap signals add
        up; other nonlinearities use their gradient, and the result names them.

        Arguments: image: as in `maps`, of any sizes. target: a unit (`features.21:a/117@10,12`), a map (its strongest
        unit; with whole=True all positions with their values), a layer (every map) or a list of addresses of one layer;
        a class by its number (also as text: "1" is class 1, `1:a` layer 1) or its name, `None` for the predicted class,
        or a position in another output. start: the signal begins with the unit's "value" or with "one"; from stage conv
        or z it is rectified first, unless the rule is "gradient". norm: evaluating normalisations "scale" the signal,
        or "skip" it. dtype, device, memory_bytes: of the numbers, where they are computed, and how much one batch of
        units takes.
        Returns: a `Projection`; `Projections` for several maps or units, or one target on several images;
        `ProjectionsByImage` for several on several.
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
        return _collected(found, of_images=is_collection(image), of_targets=names_several(self._captured, target))

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

    def occlusion_cost(self, target: Target = None, window: Sides = 16, stride: Sides = 8) -> OcclusionCost:
        """What an occlusion will recompute, per layer, and the most that can be gained; nothing is run.

        Arguments: as in `occlude`; every class costs the same, the predicted one too.
        Raises: SettingError, InputError, AddressError.
        """
        return occlusion_cost(self._captured, target, window, stride)


def _collected(
    found: Sequence[Sequence[Projection]], *, of_images: bool, of_targets: bool
) -> Projection | Projections | ProjectionsByImage:
    """Projections by image and target as the answer to what was asked: about several of either, or one."""
    of_images = of_images or len(found) > 1
    if of_images and of_targets:
        return ProjectionsByImage([Projections(parts) for parts in found])
    if of_images:
        return Projections([projection for (projection,) in found])
    return Projections(found[0]) if of_targets else found[0][0]
