"""What is a network to featmap? Captured graphs, their names, shapes and operators."""

from featmap.network.requirements import check_torch

check_torch()
