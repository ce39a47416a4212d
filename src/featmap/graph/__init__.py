"""A captured model: its values and operator calls, their shapes and axes at any input size."""

from featmap.graph.requirements import check_torch

check_torch()
