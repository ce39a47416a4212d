"""The demo's network: small, in the manner of VGG (Simonyan and Zisserman 2015), and easy to look into.

The convolutions have no normalisation, so that the stages of a layer are plain z and a; the head takes the mean of each
map, so that images of any size can be asked.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from featmap.demo.crops import CROP_SIZE_PX, PHOTOGRAPHS
from featmap.demo.samples import MEAN, STD
from featmap.network.preprocess import Preprocessing

BLOCKS = ((16, 16), (32, 32), (64, 64))
FIRST_LAYER_SCALE = 0.1


class DemoNetwork(nn.Module):
    """Three times two convolutions and a pooling; then the mean of each map and one linear layer.

    Can be loaded by name, `featmap.demo.train:demo_network`, and declares its own input.

    >>> DemoNetwork().classifier
    Linear(in_features=64, out_features=12, bias=True)
    """

    input_shape: ClassVar = (3, CROP_SIZE_PX, CROP_SIZE_PX)
    preprocessing: ClassVar = Preprocessing(
        CROP_SIZE_PX, (CROP_SIZE_PX, CROP_SIZE_PX), MEAN, STD, source="the demo's training crops"
    )

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_feature_layers())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(BLOCKS[-1][-1], len(PHOTOGRAPHS))

    def forward(self, images: Tensor) -> Tensor:
        """One score per image and photograph; images are normalised, of any size from 8 x 8 on."""
        return self.classifier(self.pool(self.features(images)).flatten(1))


def _feature_layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    in_channels = DemoNetwork.input_shape[0]
    for block in BLOCKS:
        for out_channels in block:
            layers += [nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            in_channels = out_channels
        layers.append(nn.MaxPool2d(2))
    return layers


demo_network = DemoNetwork


def initialised(seed: int) -> DemoNetwork:
    """The network before training; the weights depend on `seed` alone (He et al. 2015), biases are zero."""
    with torch.random.fork_rng(devices=[]):
        network = demo_network()
    random = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=random)
        else:
            nn.init.zeros_(parameter)
    # The first kernels after training should show what was learned, not the initial draw.
    with torch.no_grad():
        next(network.parameters()).mul_(FIRST_LAYER_SCALE)
    return network
