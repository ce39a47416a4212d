"""Paddings that PyTorch's own layers do not take, and what to do instead."""

from __future__ import annotations

from featmap.geometry.layer.reach import SizeQuestion

PAD_FIRST = ": call functional.pad before it"


def refusal(question: SizeQuestion, before: int, after: int) -> str:
    """Why PyTorch's own layer does not take a padding; empty where it does.

    >>> refusal(SizeQuestion(8, 3), 1, 1), refusal(SizeQuestion(8, 3), 0, 1)
    ('', 'Conv2d pads both sides alike: call functional.pad before it')
    """
    if question.pool:
        return of_pool(question, before, after)
    if before == after:
        return ""
    if question.transpose:
        return "ConvTranspose2d crops both sides alike: slice the rest off its result"
    return f"Conv2d pads both sides alike{PAD_FIRST}"


def of_pool(question: SizeQuestion, before: int, after: int) -> str:
    """The same for MaxPool2d and AvgPool2d: at most half the kernel, whatever its dilation, as in torch's CPU code."""
    # With F.pad, a pool in ceil mode may have one window more: one that starts on the padding then counts.
    remedy = "" if question.ceil_mode else PAD_FIRST
    if max(before, after) > question.kernel // 2:
        return f"PyTorch pads a pool by at most half of its kernel{remedy}"
    return "" if before == after else f"PyTorch pads a pool alike on both sides{remedy}"
