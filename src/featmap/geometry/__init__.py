"""Exact integer geometry of convolutional networks; imports neither torch nor numpy."""

from featmap.geometry.axis.axis_field import AxisField
from featmap.geometry.axis.blocks import Adaptive, Gather, Repeat
from featmap.geometry.axis.hole import Outside
from featmap.geometry.axis.move import Flip, Pad, PadMode, Slice
from featmap.geometry.axis.perhaps import Perhaps
from featmap.geometry.axis.resize import Cubic, Linear, Nearest
from featmap.geometry.axis.rule import AxisRule, Pointwise, Whole
from featmap.geometry.axis.window import TransposedWindow, Window
from featmap.geometry.box import Box, Status
from featmap.geometry.field import ReceptiveField, chain_field, merge
from featmap.geometry.index_set import IndexSet
from featmap.geometry.interval import Interval
from featmap.geometry.layer.arithmetic import ConvolutionArithmetic
from featmap.geometry.layer.convolution import convolution
from featmap.geometry.layer.formula import size_formula
from featmap.geometry.layer.inverse import solve, solve_size
from featmap.geometry.layer.padding import pytorch_same, symmetric_same, tensorflow_same
from featmap.geometry.layer.solution import AxisSolution, SizeSolution

__all__ = [
    "Adaptive",
    "AxisField",
    "AxisRule",
    "AxisSolution",
    "Box",
    "ConvolutionArithmetic",
    "Cubic",
    "Flip",
    "Gather",
    "IndexSet",
    "Interval",
    "Linear",
    "Nearest",
    "Outside",
    "Pad",
    "PadMode",
    "Perhaps",
    "Pointwise",
    "ReceptiveField",
    "Repeat",
    "SizeSolution",
    "Slice",
    "Status",
    "TransposedWindow",
    "Whole",
    "Window",
    "chain_field",
    "convolution",
    "merge",
    "pytorch_same",
    "size_formula",
    "solve",
    "solve_size",
    "symmetric_same",
    "tensorflow_same",
]
