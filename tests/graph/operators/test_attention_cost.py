"""What attention costs: every matrix product of it, by the definition and by torch's own counter of the plain form."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import featmap as fm

TOKENS, WIDTH, HEADS = 10, 24, 3


class Attending(nn.Module):
    """Attention over the places of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


class Plain(nn.Module):
    """The same attention written as its six matrix products."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        a, tokens = self.attention, x.flatten(2).transpose(1, 2)
        parts = nn.functional.linear(tokens, a.in_proj_weight, a.in_proj_bias).chunk(3, 2)
        queries, keys, values = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in parts)
        weights = (queries @ keys.mT / (WIDTH // HEADS) ** 0.5).softmax(3)
        return a.out_proj((weights @ values).transpose(1, 2).flatten(2))


def test_attention_costs_its_projections_and_both_products() -> None:
    module = Attending().eval()
    image = torch.rand(1, WIDTH, 2, TOKENS // 2)
    plain = Plain(module.attention)
    torch.testing.assert_close(plain(image), module(image))
    with FlopCounterMode(display=False) as counter:
        plain(image)
    products = 4 * TOKENS * WIDTH * WIDTH + 2 * TOKENS * TOKENS * WIDTH
    assert counter.get_total_flops() == 2 * products
    assert fm.trace(module, tuple(image.shape[1:])).plan().totals.macs == products
