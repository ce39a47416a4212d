"""The objects that a user holds: `Network` and `Index`, with one method per question, made by `load` and `trace`."""

from __future__ import annotations

from featmap.api.index import Index
from featmap.api.loading import load, trace
from featmap.api.network import Layer, Network
from featmap.graph.operators.base.registry import register as register_operator
from featmap.index.build.engines import register as register_engine
from featmap.view.formats.table import register as register_format
from featmap.view.results.index import register_index_results
from featmap.view.results.network import register_results
from featmap.view.results.projection import register_projections

register_results()
register_projections()
register_index_results()

__all__ = ["Index", "Layer", "Network", "load", "register_engine", "register_format", "register_operator", "trace"]
