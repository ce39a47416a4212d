"""A network as featmap sees it: captured graphs, their names, shapes and operators."""

from featmap.network.requirements import check_torch

check_torch()
