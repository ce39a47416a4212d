"""The networks of torchvision and timm on which plans are checked, built without memory.

All of torchvision's classification networks but its transformers, and of timm every convolutional family that it has,
with a few networks that mix convolutions with attention. Small variants stand for their family; large ones are there
because a plan needs no memory.
"""

from __future__ import annotations

import re

from torch import nn

from featmap.sources.build import without_values
from featmap.sources.zoo import ZooModel, import_torchvision, timm_model, torchvision_model

TRANSFORMERS = ("vit", "swin", "maxvit")
"""How the names of torchvision's networks begin that hold no feature maps in the sense of this project."""

_SMALL = ("densenet121", "efficientnet_b0", "regnet_x_400mf", "regnet_y_400mf", "resnet18")
"""Examples of torchvision's families whose last network is a large one."""

MIXED = "with attention"
"""Networks of many families that mix convolutions with attention."""

TIMM: dict[str, str] = {
    "resnet": "resnet10t resnet18 resnet26d resnet50_gn resnetaa34d resnetblur18 wide_resnet50_2",
    "resnet, byob": "resnet32ts resnet51q gcresnet33ts bat_resnext26ts",
    "resnet, clip": "resnet50_clip",
    "resnetrs": "resnetrs50",
    "resnext": "resnext26ts resnext50_32x4d",
    "seresnet": "seresnet18 seresnet33ts legacy_seresnet18 legacy_seresnext26_32x4d",
    "senet": "legacy_senet154",
    "ecaresnet": "ecaresnet26t ecaresnext26t_32x4d",
    "resnetv2": "resnetv2_18 resnetv2_50 resnetv2_50d_frn resnetv2_50d_evos resnetv2_50x1_bit",
    "skresnet": "skresnet18",
    "resnest": "resnest14d",
    "regnetx": "regnetx_002",
    "regnety": "regnety_002 regnety_1280",
    "regnetz": "regnetz_005 regnetz_b16",
    "regnetv": "regnetv_040",
    "gernet": "gernet_s",
    "repvgg": "repvgg_a0 repvgg_b1g4",
    "mobileone": "mobileone_s4",
    "convnext": "convnext_atto convnext_atto_rms convnext_tiny_hnf convnext_xxlarge",
    "convnextv2": "convnextv2_atto",
    "efficientnet": "efficientnet_b0 efficientnet_lite0 efficientnet_es efficientnet_b0_gn",
    "tf_efficientnet": "tf_efficientnet_b0",
    "efficientnet, conditional convolution": "efficientnet_cc_b0_4e",
    "efficientnetv2": "tf_efficientnetv2_b0 efficientnetv2_rw_t",
    "mixnet": "mixnet_s tf_mixnet_s",
    "fbnet": "fbnetc_100 fbnetv3_b",
    "mnasnet": "mnasnet_small semnasnet_075 spnasnet_100",
    "tinynet": "tinynet_e",
    "hardcorenas": "hardcorenas_a",
    "mobilenetv1": "mobilenetv1_100",
    "mobilenetv2": "mobilenetv2_050",
    "mobilenetv3": "mobilenetv3_small_050 tf_mobilenetv3_small_075",
    "mobilenetv4": "mobilenetv4_conv_small mobilenetv4_conv_aa_medium",
    "mobilenet_edgetpu": "mobilenet_edgetpu_100",
    "lcnet": "lcnet_050 lcnetv2_small",
    "densenet": "densenet121",
    "rdnet": "rdnet_tiny",
    "vgg": "vgg11 vgg11_bn",
    "inception_v3": "inception_v3",
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_next": "inception_next_atto",
    "dla": "dla34 dla60_res2net",
    "hrnet": "hrnet_w18_small",
    "nfnet": "nfnet_l0 eca_nfnet_l0 nf_resnet26 nf_regnet_b0",
    "dm_nfnet": "dm_nfnet_f0",
    "darknet": "darknet53 darknetaa53",
    "cspdarknet": "cspdarknet53 cs3darknet_s cs3darknet_focus_s cs3sedarknet_l",
    "cspresnet": "cspresnet50 cspnext_tiny",
    "res2net": "res2net50_26w_4s res2next50",
    "ghostnet": "ghostnet_050 ghostnetv2_100",
    "repghostnet": "repghostnet_050",
    "rexnet": "rexnet_100 rexnetr_100",
    "selecsls": "selecsls42b",
    "xception": "legacy_xception xception41",
    "dpn": "dpn48b dpn68",
    "vovnet": "vovnet39a ese_vovnet19b_slim_dw ese_vovnet39b_evos",
    "tresnet": "tresnet_m",
    "poolformer": "poolformer_s12 poolformerv2_s12 convformer_s18",
    "fasternet": "fasternet_t0",
    "convmixer": "convmixer_1024_20_ks9_p14",
    "starnet": "starnet_s050",
    "hgnet": "hgnet_tiny hgnetv2_b0",
    "pnasnet": "pnasnet5large",
    "nasnet": "nasnetalarge",
    "focalnet": "focalnet_tiny_srf",
    "repvit": "repvit_m0_9",
    "fastvit": "fastvit_t8",
    "mambaout": "mambaout_femto",
    MIXED: (
        "edgenext_xx_small mobilevit_xxs mobilevitv2_050 coatnet_nano_rw_224 botnet26t_256 lambda_resnet26t "
        "halonet26t mobilenetv4_hybrid_medium efficientformer_l1 efficientvit_b0 visformer_tiny csatv2"
    ),
}
"""timm's networks by family; what follows a comma tells branches of a family apart."""


def torchvision_names() -> list[str]:
    """Every classification network of torchvision that is convolutional."""
    models = import_torchvision().models
    return [name for name in models.list_models(module=models) if not name.startswith(TRANSFORMERS)]


def timm_families() -> set[str]:
    """The convolutional families of timm that are checked."""
    return {family.partition(",")[0] for family in TIMM if family != MIXED}


def zoo_names() -> list[str]:
    """All networks that are checked, as `featmap.load` takes them."""
    timm = [name for names in TIMM.values() for name in names.split()]
    return [*(f"torchvision:{name}" for name in torchvision_names()), *(f"timm:{name}" for name in timm)]


def zoo_examples() -> list[str]:
    """One network of each family of torchvision and timm, and all that mix convolutions with attention."""
    families: dict[str, str] = {}
    for name in [*torchvision_names(), *_SMALL]:
        family = re.match(r"[a-z]+(?:_[vxy])?", name)
        assert family is not None
        families[family[0]] = name
    timm = [name for family, names in TIMM.items() for name in names.split()[: None if family == MIXED else 1]]
    return [*(f"torchvision:{name}" for name in families.values()), *(f"timm:{name}" for name in timm)]


def zoo_model(model: str) -> ZooModel:
    """The zoo's record of a network: its constructor and its input."""
    zoo, _, name = model.partition(":")
    return torchvision_model(name, None) if zoo == "torchvision" else timm_model(name, None)


def zoo_module(model: str) -> nn.Module:
    """A network of a zoo on the meta device, in evaluation mode."""
    return without_values(zoo_model(model).build).eval()
