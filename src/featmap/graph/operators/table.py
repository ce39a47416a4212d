"""The table of operators: torch's operator names, each with the class that knows what it reads, costs and computes.

A new operator is one entry here and, if no class fits, a class in the file of its family. Whatever is not in the table
is treated as reading everything: right, never fast, and named in the plan; but what torch itself tags as pointwise is
that.
"""

from __future__ import annotations

import torch

from featmap.geometry import Cubic, Linear
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.base.registry import (
    BY_TAG,
    TABLE,
    UNKNOWN,
    is_known,
    operator_of,
    operator_of_target,
    printed_name,
    title,
)
from featmap.graph.operators.convolution import Convolution, PlainConvolution, TransposedConvolution
from featmap.graph.operators.factory import Factory
from featmap.graph.operators.gathering.lookup import (
    Gathering,
    IndexedPlaces,
    IndexPut,
    Lookup,
    MaskedScatter,
    Scattering,
    SelectedPlaces,
    Taking,
)
from featmap.graph.operators.gathering.overlay import Overlay, SelectOverlay
from featmap.graph.operators.gathering.sampling import AddedColumns, AffineGrid, GridSample, Unpool, WindowColumns
from featmap.graph.operators.moving.copying import RepeatedUnits, Repetition, Roll, Unfold
from featmap.graph.operators.moving.cutting import Concatenate, Cut, Item, Narrow, Select, SliceCut, Stack, Unbind
from featmap.graph.operators.moving.pixels import ChannelShuffle, PixelShuffle, PixelUnshuffle
from featmap.graph.operators.moving.reshape import (
    Bits,
    Expand,
    ExpandAs,
    MoveAxes,
    Moving,
    Permute,
    Reshape,
    Reversal,
    Reverse,
    Squeeze,
    Transpose,
    Unsqueeze,
    View,
    ViewAs,
)
from featmap.graph.operators.nonlinearity import Bounded, Clamp, Nonlinearity, Rectifier, Slopes, Threshold
from featmap.graph.operators.normalization import (
    BatchNorm,
    BatchNormInTraining,
    LayerNorm,
    MapNorm,
    NativeMapNorm,
    Normalization,
)
from featmap.graph.operators.padding import Padding
from featmap.graph.operators.pointwise import (
    AlongAxis,
    Bucket,
    Cast,
    Copy,
    Detach,
    Difference,
    Elementwise,
    Like,
    LinearPointwise,
    Overwrite,
    Product,
    Sum,
)
from featmap.graph.operators.pooling import AdaptiveAveragePool, AdaptivePool, AveragePool, MaxPool, VolumePool
from featmap.graph.operators.products import Attention, Distances, Einsum, LinearLayer, MatrixProduct
from featmap.graph.operators.recurrent import Recurrent
from featmap.graph.operators.reduction import Average, Largest, PairReduction, Reduction, Total
from featmap.graph.operators.resize import Interpolation, nearest, nearest_exact
from featmap.graph.operators.transform import ComplexPairs, Pairs, Shift, Transform

_NAMES: dict[Operator, str] = {
    PlainConvolution(): "conv1d conv2d conv3d",
    TransposedConvolution(): "conv_transpose1d conv_transpose2d conv_transpose3d",
    Convolution(): "convolution",
    LinearLayer(): "linear",
    MatrixProduct(): "matmul mm bmm addmm baddbmm",
    Attention(): "scaled_dot_product_attention",
    Distances(): "cdist _cdist_forward",
    Einsum(): "einsum",
    Rectifier("ReLU"): "relu",
    Rectifier("ReLU6", high=6.0): "relu6",
    Bounded("Hardtanh"): "hardtanh",
    Clamp(): "clamp clamp_min clamp_max clip",
    Threshold(): "threshold",
    Nonlinearity(low=0.0, high=1.0, has_in_place_form=True): "sigmoid",
    Nonlinearity(low=0.0, high=1.0, zero_below=True, has_in_place_form=True): "hardsigmoid",
    Nonlinearity(low=-1.0, high=1.0): "tanh",
    Nonlinearity("SiLU", has_in_place_form=True): "silu",
    Nonlinearity("Hardswish", zero_below=True, has_in_place_form=True): "hardswish",
    Nonlinearity(has_in_place_form=True): "leaky_relu",
    Nonlinearity("GELU"): "gelu",
    Nonlinearity(): "elu selu celu softplus mish rrelu log_sigmoid hardshrink softshrink _prelu_kernel",
    Slopes(): "prelu",
    BatchNorm(): "batch_norm",
    Normalization(): (
        "_native_batch_norm_legit_no_training _batch_norm_no_update cudnn_batch_norm native_batch_norm "
        "_native_batch_norm_legit _native_batch_norm_legit_functional"
    ),
    BatchNormInTraining(): "_batch_norm_with_update _batch_norm_with_update_functional",
    LayerNorm(): "layer_norm native_layer_norm rms_norm",
    MapNorm(): "group_norm instance_norm",
    NativeMapNorm(): "native_group_norm",
    Sum(): "add",
    Difference(): "sub subtract",
    LinearPointwise(): ("rsub neg negative complex real imag conj _conj resolve_conj resolve_neg _neg_view"),
    Product(): "mul multiply div divide",
    Copy(): "clone alias contiguous",
    Detach(): "detach detach_ detach_copy",
    Cast(): "to _to_copy type_as",
    Overwrite(): "copy",
    Elementwise(): (
        "maximum minimum where abs square sqrt rsqrt reciprocal exp expm1 log log1p log2 erf "
        "pow sin cos floor ceil round sign lerp addcmul addcdiv ge gt le lt eq ne bitwise_not logical_not "
        "masked_fill nan_to_num "
        "_assert_tensor_metadata max.other min.other logical_or logical_and logical_xor isfinite isnan isinf tan asin "
        "acos atan sinh cosh asinh acosh atanh atan2 trunc log10 exp2 fmod remainder hypot xlogy copysign sinc erfc "
        "lgamma digamma bernoulli poisson polar "
        "__and__ __or__ __xor__ absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh fix "
        "floor_divide greater greater_equal less less_equal not_equal special_ndtr isclose "
        "isreal"
    ),
    Bucket(): "bucketize",
    Like(): "fill zeros_like ones_like full_like empty_like rand_like randn_like randint_like",
    AlongAxis(): (
        "softmax _softmax log_softmax _log_softmax cumsum glu cumprod cummax cummin logcumsumexp sort argsort topk"
    ),
    MaxPool(1): "max_pool1d",
    MaxPool(2): "max_pool2d max_pool2d_with_indices",
    VolumePool(3): "max_pool3d max_pool3d_with_indices",
    AveragePool(1): "avg_pool1d",
    AveragePool(2): "avg_pool2d",
    AveragePool(3): "avg_pool3d",
    AdaptiveAveragePool(1): "adaptive_avg_pool1d",
    AdaptiveAveragePool(2): "adaptive_avg_pool2d _adaptive_avg_pool2d",
    AdaptiveAveragePool(3): "adaptive_avg_pool3d _adaptive_avg_pool3d",
    AdaptivePool(1): "adaptive_max_pool1d",
    AdaptivePool(2): "adaptive_max_pool2d",
    AdaptivePool(3): "adaptive_max_pool3d",
    Unpool(): "max_unpool2d max_unpool3d",
    Average(): "mean",
    Total(): "sum",
    Largest(): "amax",
    Reduction(): (
        "amin max min var std linalg_vector_norm logsumexp prod norm argmax argmin all any median "
        "nanmedian mode kthvalue var_mean std_mean nansum nanmean count_nonzero aminmax"
    ),
    PairReduction(): "pairwise_distance cosine_similarity",
    Padding(): "pad constant_pad_nd",
    Padding("reflect"): "reflection_pad1d reflection_pad2d reflection_pad3d",
    Padding("replicate"): "replication_pad1d replication_pad2d replication_pad3d",
    Padding("circular"): "_pad_circular",
    Interpolation(nearest, 1): "upsample_nearest1d",
    Interpolation(nearest, 2): "upsample_nearest2d",
    Interpolation(nearest, 3): "upsample_nearest3d",
    Interpolation(nearest_exact, 1): "_upsample_nearest_exact1d",
    Interpolation(nearest_exact, 2): "_upsample_nearest_exact2d",
    Interpolation(nearest_exact, 3): "_upsample_nearest_exact3d",
    Interpolation(Linear, 1): "upsample_linear1d",
    Interpolation(Linear, 2): "upsample_bilinear2d",
    Interpolation(Linear, 3): "upsample_trilinear3d",
    Interpolation(Cubic, 2): "upsample_bicubic2d",
    Interpolation(None, 2): "_upsample_bilinear2d_aa _upsample_bicubic2d_aa",
    GridSample(): "grid_sampler grid_sampler_2d grid_sampler_3d",
    AffineGrid(): "affine_grid_generator",
    Recurrent(): "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    Transform(): (
        "fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_hfft2 "
        "fft_ihfft2 fft_fftn fft_ifftn fft_rfftn fft_irfftn fft_hfftn fft_ihfftn _fft_r2c _fft_c2r _fft_c2c"
    ),
    Shift(): "fft_fftshift fft_ifftshift",
    Pairs(): "view_as_real",
    ComplexPairs(): "view_as_complex",
    Moving(): "meshgrid",
    WindowColumns(): "im2col",
    AddedColumns(): "col2im",
    Overlay(): "slice_scatter",
    SelectOverlay(): "select_scatter",
    IndexedPlaces(): "index",
    SelectedPlaces(): "index_select",
    Gathering(): "gather",
    Taking(): "take_along_dim",
    Scattering(): "scatter scatter_add scatter_reduce index_add index_copy index_fill",
    IndexPut(): "index_put",
    MaskedScatter(): "masked_scatter",
    Lookup(): "embedding one_hot",
    View(): "view reshape _unsafe_view",
    Bits(): "view.dtype",
    ViewAs(): "view_as reshape_as",
    Reshape(): "flatten unflatten",
    Unsqueeze(): "unsqueeze",
    Squeeze(): "squeeze",
    Permute(): "permute",
    Transpose(): "transpose swapaxes swapdims t mT",
    Reversal(): "numpy_T",
    MoveAxes(): "movedim moveaxis",
    SliceCut(): "slice",
    Narrow(): "narrow",
    Cut(): "split split_with_sizes chunk unsafe_chunk tensor_split",
    Select(): "select",
    Unbind(): "unbind",
    Item(): "getitem",
    Expand(): "expand",
    ExpandAs(): "expand_as",
    Concatenate(): "cat concat concatenate",
    Stack(): "stack",
    Reverse(): "flip",
    Roll(): "roll",
    Unfold(): "unfold",
    Repetition(): "repeat tile",
    RepeatedUnits(): "repeat_interleave",
    PixelShuffle(): "pixel_shuffle",
    PixelUnshuffle(): "pixel_unshuffle",
    ChannelShuffle(): "channel_shuffle native_channel_shuffle",
    Factory(): "zeros ones full arange empty scalar_tensor linspace eye tensor new_zeros new_ones new_full new_empty",
}

TABLE.update({name: operator for operator, names in _NAMES.items() for name in names.split()})
BY_TAG[torch.Tag.pointwise] = Elementwise()

__all__ = ["TABLE", "UNKNOWN", "is_known", "operator_of", "operator_of_target", "printed_name", "title"]
