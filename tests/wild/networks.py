"""The list of foreign networks: how each is built without downloading anything, and what input it takes.

All have random weights from a fixed seed. Sizes are small, so that the whole list runs in minutes; what is compared
does not depend on them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from featmap.sources.zoo import import_torchvision

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Wild:
    """A foreign network: package, name, how it is built, the shape of one image and what else its forward takes."""

    package: str
    name: str
    build: Callable[[], nn.Module]
    shape: Shape = (3, 64, 64)
    others: Mapping[str, Callable[[], Any]] = field(default_factory=dict[str, Callable[[], Any]])

    @property
    def key(self) -> str:
        """What the network is called on a command line: package/name."""
        return f"{self.package}/{self.name}"

    def image(self) -> Tensor:
        """One image, the same every time."""
        return torch.rand((1, *self.shape), generator=torch.Generator().manual_seed(1))


class FirstOf(nn.Module):
    """A network of which only the tensors of its answer are returned, for answers of a class of the package's own."""

    def __init__(self, inner: nn.Module, **fixed: Any) -> None:
        super().__init__()
        self.inner = inner
        self.fixed = fixed

    def forward(self, image: Tensor) -> Any:
        found = self.inner(image, **self.fixed)
        return tuple(value for value in found if isinstance(value, Tensor)) if isinstance(found, tuple) else found


def all_networks() -> list[Wild]:
    """Every network of the list, in the order of the table."""
    # torchvision beside a torch without its compiled operators can only be imported so.
    import_torchvision()
    families = (_smp, _transformers, _ultralytics, _monai, _diffusers, _kornia, _torchvision, _timm, _other_axes)
    return [network for family in families for network in family()]


def _made(module: str, name: str, *args: Any, **settings: Any) -> Callable[[], Any]:
    return lambda: getattr(import_module(module), name)(*args, **settings)


def _smp() -> Iterator[Wild]:
    encoders = {
        "resnet18": "Unet UnetPlusPlus MAnet Linknet FPN PSPNet PAN DeepLabV3 DeepLabV3Plus UPerNet",
        "mobilenet_v2": "Unet FPN DeepLabV3Plus",
        "efficientnet-b0": "Unet UnetPlusPlus",
        "densenet121": "Unet",
        "mit_b0": "Unet Segformer",
        "vgg11_bn": "Unet",
    }
    for encoder, decoders in encoders.items():
        for decoder in decoders.split():
            build = _made("segmentation_models_pytorch", decoder, encoder, encoder_weights=None, classes=3)
            yield Wild("segmentation_models_pytorch", f"{decoder}, {encoder}", build, (3, 96, 64))


def _transformers() -> Iterator[Wild]:
    names = (
        "ResNet RegNet ConvNext ConvNextV2 MobileNetV1 MobileNetV2 EfficientNet Bit Cvt Levit PoolFormer FocalNet "
        "MobileViT MobileViTV2 SwiftFormer Pvt PvtV2 Segformer GLPN TextNet HGNetV2 DINOv3ConvNext Timesformer"
    )
    heads = {"HGNetV2": "Backbone", "TextNet": "Backbone"}
    large = {"Levit": (3, 224, 224), "SwiftFormer": (3, 224, 224), "Pvt": (3, 224, 224), "Cvt": (3, 224, 224)}
    for name in names.split()[:-1]:
        shape = large.get(name, (3, 96, 64))
        yield Wild("transformers", f"{name}Model", _transformer(name, heads.get(name, "Model")), shape)
    yield Wild(
        "transformers",
        "SegformerForSemanticSegmentation",
        _transformer("Segformer", "ForSemanticSegmentation"),
        (3, 96, 64),
    )
    yield Wild("transformers", "DPTForDepthEstimation", _dpt, (3, 96, 96))


def _transformer(name: str, head: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        package = import_module("transformers")
        configuration = getattr(package, f"{name}Config")()
        return FirstOf(getattr(package, f"{name}{head}")(configuration), return_dict=False)

    return build


def _dpt() -> nn.Module:
    package = import_module("transformers")
    configuration = package.DPTConfig(
        image_size=96, hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16, 16, 32, 32], fusion_hidden_size=16,
    )  # fmt: skip
    return FirstOf(package.DPTForDepthEstimation(configuration), return_dict=False)


def _ultralytics() -> Iterator[Wild]:
    detection = "yolov3-tiny yolov5n yolov6n yolov8n yolov9t yolov10n yolo11n yolo12n yolo26n"
    kinds = {"SegmentationModel": "-seg", "PoseModel": "-pose", "OBBModel": "-obb", "ClassificationModel": "-cls"}
    for name in detection.split():
        yield Wild("ultralytics", name, _yolo("DetectionModel", name), (3, 96, 64))
    for kind, suffix in kinds.items():
        yield Wild("ultralytics", f"yolov8n{suffix}", _yolo(kind, f"yolov8n{suffix}"), (3, 96, 64))
    yield Wild("ultralytics", "rtdetr-l", _yolo("RTDETRDetectionModel", "rtdetr-l"), (3, 96, 96))


def _yolo(kind: str, name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())
        os.environ.setdefault("YOLO_OFFLINE", "true")
        return getattr(import_module("ultralytics.nn.tasks"), kind)(f"{name}.yaml", verbose=False)

    return build


def _monai() -> Iterator[Wild]:
    flat = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
    widths = {"channels": (8, 16, 32), "strides": (2, 2)}
    settings: dict[str, dict[str, Any]] = {
        "UNet": flat | widths | {"num_res_units": 2},
        "AttentionUnet": flat | widths,
        "BasicUNet": flat,
        "BasicUNetPlusPlus": flat,
        "SegResNet": flat,
        "SegResNetVAE": flat | {"input_image_size": (64, 64)},
        "DynUNet": flat | {"kernel_size": [3] * 3, "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]},
        "VNet": flat,
        "HighResNet": flat,
        "AutoEncoder": flat | {"channels": (8, 16), "strides": (2, 2)},
        "DenseNet121": flat,
        "SEResNet50": {"spatial_dims": 2, "in_channels": 1},
        "UNETR": flat | {"img_size": (64, 64), "hidden_size": 48, "mlp_dim": 64, "num_heads": 4},
    }
    for name, given in settings.items():
        yield Wild("monai", name, _made("monai.networks.nets", name, **given), (1, 64, 64))


def _other_axes() -> Iterator[Wild]:
    """Networks on signals and volumes."""
    for axes, size in ((1, (64,)), (3, (24, 24, 24))):
        given = {"spatial_dims": axes, "in_channels": 1, "out_channels": 2, "channels": (8, 16), "strides": (2,)}
        yield Wild("monai", f"UNet of {axes} axes", _made("monai.networks.nets", "UNet", **given), (1, *size))
    for name in ("r3d_18", "mc3_18", "r2plus1d_18"):
        yield Wild("torchvision", name, _made("torchvision.models.video", name, weights=None), (3, 8, 48, 48))
    yield Wild("torchvision", "s3d", _made("torchvision.models.video", "s3d", weights=None), (3, 14, 224, 224))
    yield Wild("transformers", "Wav2Vec2's feature encoder", _wav2vec, (2000,))


def _wav2vec() -> nn.Module:
    package = import_module("transformers")
    configuration = package.Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(32,) * 7
    )
    encoder: nn.Module = package.Wav2Vec2Model(configuration).feature_extractor
    return encoder


def _diffusers() -> Iterator[Wild]:
    widths = {"block_out_channels": (16, 32), "norm_num_groups": 8}
    down, up = ["DownEncoderBlock2D"] * 2, ["UpDecoderBlock2D"] * 2
    blocks = {"down_block_types": down, "up_block_types": up}
    yield Wild("diffusers", "AutoencoderKL", _first("AutoencoderKL", **widths, **blocks))
    yield Wild("diffusers", "VQModel", _first("VQModel", **widths, **blocks))
    yield Wild("diffusers", "AutoencoderTiny", _first("AutoencoderTiny"))
    unet = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    fixed = {"timestep": 10}
    yield Wild("diffusers", "UNet2DModel", _first("UNet2DModel", fixed, sample_size=32, **widths, **unet), (3, 32, 32))


def _first(name: str, fixed: Mapping[str, Any] | None = None, **settings: Any) -> Callable[[], nn.Module]:
    return lambda: FirstOf(getattr(import_module("diffusers"), name)(**settings), return_dict=False, **(fixed or {}))


def _kornia() -> Iterator[Wild]:
    for name in ("HardNet", "HyNet", "TFeat", "SOSNet"):
        yield Wild("kornia", name, _made("kornia.feature", name, pretrained=False), (1, 32, 32))
    yield Wild("kornia", "HardNet8", _made("kornia.feature", "HardNet8", pretrained=False), (1, 32, 32))
    yield Wild("kornia", "KeyNet", _made("kornia.feature", "KeyNet", pretrained=False), (1, 48, 64))
    yield Wild("kornia", "GaussianBlur2d", _made("kornia.filters", "GaussianBlur2d", (5, 5), (1.5, 1.5)))
    yield Wild("kornia", "Canny", _made("kornia.filters", "Canny"), (3, 48, 64))
    yield Wild("kornia", "Sobel", _made("kornia.filters", "Sobel"), (3, 48, 64))


def _torchvision() -> Iterator[Wild]:
    bare = {"weights": None, "weights_backbone": None}
    for name in ("fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"):
        yield Wild("torchvision", name, _made("torchvision.models.segmentation", name, **bare), (3, 96, 64))
    module = "torchvision.models.detection.backbone_utils"
    resnet = _made(module, "resnet_fpn_backbone", backbone_name="resnet18", weights=None)
    yield Wild("torchvision", "resnet18 with a feature pyramid", resnet, (3, 96, 64))
    mobile = _made(module, "mobilenet_backbone", backbone_name="mobilenet_v2", weights=None, fpn=True)
    yield Wild("torchvision", "mobilenet_v2 with a feature pyramid", mobile, (3, 96, 64))
    for name in ("swin_t", "maxvit_t", "vit_b_32"):
        yield Wild("torchvision", name, _made("torchvision.models", name), (3, 224, 224))
    flow = {"image2": lambda: torch.rand((1, 3, 128, 128), generator=torch.Generator().manual_seed(2))}
    raft = _made("torchvision.models.optical_flow", "raft_small")
    yield Wild("torchvision", "raft_small", raft, (3, 128, 128), flow)
    detector = _made("torchvision.models.detection", "fasterrcnn_mobilenet_v3_large_320_fpn", **bare)
    yield Wild("torchvision", "fasterrcnn_mobilenet_v3_large_320_fpn", detector, (3, 96, 64))


def _timm() -> Iterator[Wild]:
    for name in ("resnet18", "efficientnet_b0", "hrnet_w18_small", "mobilenetv3_small_050", "convnext_atto"):
        build = _made("timm", "create_model", name, features_only=True)
        yield Wild("timm", f"{name}, features", build, (3, 128, 96))
    sizes = {"tresnet_m": 128, "crossvit_9_240": 240, "maxvit_rmlp_pico_rw_256": 256, "csatv2": 256}
    hybrids = ("mobilevitv2_050", "coatnet_nano_rw_224", "levit_128s", "xcit_nano_12_p16_224")
    for name in (*sizes, *hybrids):
        size = sizes.get(name, 224)
        yield Wild("timm", name, _made("timm", "create_model", name), (3, size, size))
