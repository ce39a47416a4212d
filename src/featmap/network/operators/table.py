"""Which operators are known? One table from torch's operator names to what each reads, costs and does to shapes.

A new operator is one entry here (and, if it is of a new kind, a class in the file of its question). Whatever is not in
the table is treated as reading everything: right, never fast, and named in the plan.
"""

from __future__ import annotations

from featmap.network.graph import Node
from featmap.network.operators.convolution import Attention, Convolution, Einsum, Linear, MatrixProduct
from featmap.network.operators.copying import RepeatedUnits, Repetition, Roll, Unfold
from featmap.network.operators.cutting import Concatenate, Cut, Item, Select, Stack
from featmap.network.operators.factory import Factory
from featmap.network.operators.indexing import Index
from featmap.network.operators.operator import Operator
from featmap.network.operators.pointwise import (
    AlongAxis,
    Elementwise,
    LayerNorm,
    MapNorm,
    Nonlinearity,
    Normalization,
    Sum,
)
from featmap.network.operators.pooling import AdaptivePool, Pool, Reduction
from featmap.network.operators.reshape import ChannelShuffle, Expand, Permute, PixelShuffle, Reshape, Reverse
from featmap.network.operators.resize import Interpolation, Padding

UNKNOWN = Operator()

_NAMES: dict[Operator, str] = {
    Convolution(): "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution",
    Linear(): "linear",
    MatrixProduct(): "matmul mm bmm addmm baddbmm",
    Attention(): "scaled_dot_product_attention",
    Einsum(): "einsum",
    Nonlinearity(): (
        "relu relu6 hardtanh sigmoid tanh silu gelu hardswish hardsigmoid leaky_relu elu selu celu softplus mish prelu "
        "_prelu_kernel clamp clamp_min clamp_max clip threshold log_sigmoid hardshrink softshrink tanhshrink"
    ),
    Normalization(): "batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update cudnn_batch_norm",
    LayerNorm(): "layer_norm native_layer_norm rms_norm",
    MapNorm(): "group_norm native_group_norm instance_norm",
    Sum(): "add",
    Elementwise(): (
        "sub rsub mul div maximum minimum where neg abs square sqrt rsqrt reciprocal exp expm1 log log1p log2 erf "
        "pow sin cos floor ceil round sign lerp addcmul addcdiv ge gt le lt eq ne bitwise_not logical_not "
        "masked_fill to _to_copy clone detach alias contiguous nan_to_num fill zeros_like ones_like full_like "
        "_assert_tensor_metadata max.other min.other logical_or logical_and logical_xor isfinite isnan isinf tan asin "
        "acos atan sinh cosh asinh acosh atanh atan2 trunc log10 exp2 fmod remainder hypot xlogy copysign sinc erfc "
        "lgamma digamma"
    ),
    AlongAxis(): "softmax _softmax log_softmax _log_softmax cumsum glu",
    Pool(): "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d",
    AdaptivePool(): "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d _adaptive_avg_pool2d",
    Reduction(): "mean sum amax amin max min var std var_mean std_mean linalg_vector_norm logsumexp prod norm",
    Padding(): (
        "pad constant_pad_nd reflection_pad2d replication_pad2d reflection_pad1d replication_pad1d _pad_circular"
    ),
    Interpolation(): (
        "upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa "
        "_upsample_bicubic2d_aa"
    ),
    Reshape(): "view reshape _unsafe_view flatten unflatten squeeze unsqueeze reshape_as",
    Permute(): "permute transpose swapaxes swapdims movedim moveaxis t mT numpy_T",
    Cut(): "slice split split_with_sizes chunk unsafe_chunk narrow tensor_split",
    Select(): "select unbind",
    Item(): "getitem",
    Index(): "index index_select",
    Expand(): "expand expand_as",
    Concatenate(): "cat concat concatenate",
    Stack(): "stack",
    Reverse(): "flip",
    Roll(): "roll",
    Unfold(): "unfold",
    Repetition(): "repeat tile",
    RepeatedUnits(): "repeat_interleave",
    PixelShuffle(): "pixel_shuffle pixel_unshuffle",
    ChannelShuffle(): "channel_shuffle native_channel_shuffle",
    Factory(): "zeros ones full arange empty scalar_tensor linspace eye tensor",
}

TABLE: dict[str, Operator] = {name: operator for operator, names in _NAMES.items() for name in names.split()}
"""By plain name (`relu`); by name and overload (`max.other`) where that says more."""


def operator_of(node: Node) -> Operator:
    """The table's entry for a node's operator, or the honest unknown."""
    overload = TABLE.get(node.operator.removeprefix("aten."))
    return overload or TABLE.get(node.base_name, UNKNOWN)


def is_known(node: Node) -> bool:
    """Whether the operator is in the table."""
    return node.is_input or node.base_name in TABLE
