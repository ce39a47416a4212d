"""Exact integer geometry of convolutional networks; imports neither torch nor numpy."""

from featmap.geometry.arithmetic import ConvolutionArithmetic
from featmap.geometry.axis_field import AxisField
from featmap.geometry.blocks import Adaptive, Gather, Repeat
from featmap.geometry.box import Box, Status
from featmap.geometry.convolution import convolution
from featmap.geometry.field import ReceptiveField, chain_field, merge
from featmap.geometry.formula import size_formula
from featmap.geometry.hole import Outside
from featmap.geometry.index_set import IndexSet
from featmap.geometry.interval import Interval
from featmap.geometry.inverse import solve, solve_size
from featmap.geometry.move import Flip, Pad, PadMode, Slice
from featmap.geometry.padding import pytorch_same, symmetric_same, tensorflow_same
from featmap.geometry.perhaps import Perhaps
from featmap.geometry.resize import Cubic, Linear, Nearest
from featmap.geometry.rule import AxisRule, Pointwise, Whole
from featmap.geometry.solution import AxisSolution, SizeSolution
from featmap.geometry.window import TransposedWindow, Window

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
