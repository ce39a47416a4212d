"""Which operators are known? One table from torch's operator names to what each reads, costs and does to shapes.

A new operator is one entry here (and, if it is of a new kind, a class in the file of its question). Whatever is not in
the table is treated as reading everything: right, never fast, and named in the plan; but what torch itself tags as
pointwise is that.
"""

from __future__ import annotations

from typing import Any

from featmap.graph.graph import Node
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.convolution import Attention, Convolution, Distances, Einsum, Linear, MatrixProduct
from featmap.graph.operators.copying import RepeatedUnits, Repetition, Roll, Unfold
from featmap.graph.operators.cutting import Concatenate, Cut, Item, Select, Stack
from featmap.graph.operators.factory import Factory
from featmap.graph.operators.lookup import Gathering, IndexedPlaces, Lookup, Scattering
from featmap.graph.operators.overlay import Overlay
from featmap.graph.operators.pointwise import (
    AlongAxis,
    Elementwise,
    LayerNorm,
    Like,
    MapNorm,
    Nonlinearity,
    Normalization,
    Sum,
)
from featmap.graph.operators.pooling import AdaptivePool, PairReduction, Pool, Reduction
from featmap.graph.operators.recurrent import Recurrent
from featmap.graph.operators.reshape import ChannelShuffle, Expand, Moving, Permute, PixelShuffle, Reshape, Reverse
from featmap.graph.operators.resize import Interpolation, Padding
from featmap.graph.operators.sampling import AffineGrid, Columns, GridSample, Unpool
from featmap.graph.operators.transform import Pairs, Transform
from featmap.graph.schema import is_operator, is_pointwise, plain_name

UNKNOWN = Operator()
POINTWISE = Elementwise()

_NAMES: dict[Operator, str] = {
    Convolution(): "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution",
    Linear(): "linear",
    MatrixProduct(): "matmul mm bmm addmm baddbmm",
    Attention(): "scaled_dot_product_attention",
    Distances(): "cdist _cdist_forward",
    Einsum(): "einsum",
    Nonlinearity(): (
        "relu relu6 hardtanh sigmoid tanh silu gelu hardswish hardsigmoid leaky_relu elu selu celu softplus mish prelu "
        "_prelu_kernel rrelu clamp clamp_min clamp_max clip threshold log_sigmoid hardshrink softshrink tanhshrink"
    ),
    Normalization(): "batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update cudnn_batch_norm",
    LayerNorm(): "layer_norm native_layer_norm rms_norm",
    MapNorm(): "group_norm native_group_norm instance_norm",
    Sum(): "add",
    Elementwise(): (
        "sub rsub mul div maximum minimum where neg abs square sqrt rsqrt reciprocal exp expm1 log log1p log2 erf "
        "pow sin cos floor ceil round sign lerp addcmul addcdiv ge gt le lt eq ne bitwise_not logical_not "
        "masked_fill to _to_copy type_as clone detach alias contiguous nan_to_num "
        "_assert_tensor_metadata max.other min.other logical_or logical_and logical_xor isfinite isnan isinf tan asin "
        "acos atan sinh cosh asinh acosh atanh atan2 trunc log10 exp2 fmod remainder hypot xlogy copysign sinc erfc "
        "lgamma digamma bernoulli poisson complex polar real imag conj _conj resolve_conj resolve_neg "
        "_neg_view __and__ __or__ __xor__ absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh divide fix "
        "floor_divide greater greater_equal less less_equal multiply negative not_equal subtract special_ndtr isclose "
        "isreal bucketize"
    ),
    Like(): "fill copy zeros_like ones_like full_like empty_like rand_like randn_like randint_like",
    AlongAxis(): (
        "softmax _softmax log_softmax _log_softmax cumsum glu cumprod cummax cummin logcumsumexp sort argsort topk"
    ),
    Pool(): (
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d "
        "avg_pool3d"
    ),
    AdaptivePool(): (
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
        "adaptive_max_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d"
    ),
    Unpool(): "max_unpool2d max_unpool3d",
    Reduction(): (
        "mean sum amax amin max min var std linalg_vector_norm logsumexp prod norm argmax argmin all any median "
        "nanmedian mode kthvalue var_mean std_mean nansum nanmean count_nonzero aminmax"
    ),
    PairReduction(): "pairwise_distance cosine_similarity",
    Padding(): (
        "pad constant_pad_nd reflection_pad2d replication_pad2d reflection_pad1d replication_pad1d reflection_pad3d "
        "replication_pad3d _pad_circular"
    ),
    Interpolation(): (
        "upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa "
        "_upsample_bicubic2d_aa upsample_nearest1d _upsample_nearest_exact1d upsample_linear1d upsample_nearest3d "
        "_upsample_nearest_exact3d upsample_trilinear3d"
    ),
    GridSample(): "grid_sampler grid_sampler_2d grid_sampler_3d",
    AffineGrid(): "affine_grid_generator",
    Recurrent(): "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    Transform(): (
        "fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_hfft2 "
        "fft_ihfft2 fft_fftn fft_ifftn fft_rfftn fft_irfftn fft_hfftn fft_ihfftn _fft_r2c _fft_c2r _fft_c2c "
        "fft_fftshift fft_ifftshift"
    ),
    Pairs(): "view_as_real view_as_complex",
    Moving(): "meshgrid",
    Columns(): "im2col col2im",
    Overlay(): "slice_scatter select_scatter",
    IndexedPlaces(): "index index_select",
    Gathering(): "gather take_along_dim",
    Scattering(): ("scatter scatter_add scatter_reduce index_add index_copy index_fill index_put masked_scatter"),
    Lookup(): "embedding one_hot",
    Reshape(): "view reshape _unsafe_view flatten unflatten squeeze unsqueeze reshape_as view_as",
    Permute(): "permute transpose swapaxes swapdims movedim moveaxis t mT numpy_T",
    Cut(): "slice split split_with_sizes chunk unsafe_chunk narrow tensor_split",
    Select(): "select unbind",
    Item(): "getitem",
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
    Factory(): "zeros ones full arange empty scalar_tensor linspace eye tensor new_zeros new_ones new_full new_empty",
}

TABLE: dict[str, Operator] = {name: operator for operator, names in _NAMES.items() for name in names.split()}
"""By plain name (`relu`); by name and overload (`max.other`) where that says more."""


def operator_of(node: Node) -> Operator:
    """The table's entry for a node's operator, or the honest unknown."""
    overload = TABLE.get(node.operator.removeprefix("aten."))
    return overload or TABLE.get(node.base_name) or _outside_the_table(node.target)


def operator_of_target(target: Any) -> Operator:
    """The same for an operator that belongs to no graph; what writes over its input counts as what does not."""
    name = plain_name(target)
    return TABLE.get(name) or TABLE.get(name.removesuffix("_")) or _outside_the_table(target)


def _outside_the_table(target: Any) -> Operator:
    return POINTWISE if is_operator(target) and is_pointwise(target) else UNKNOWN


def is_known(node: Node) -> bool:
    """Whether the operator is in the table, or pointwise by torch's own word."""
    return node.is_input or operator_of(node).is_known
