"""What does a user hold? `Network` and `Index`, each with one method per question, and `load` and `trace`."""

from __future__ import annotations

from featmap.face.index import Index
from featmap.face.loading import load, trace
from featmap.face.network import Layer, Network
from featmap.view.results import register_results
from featmap.view.results_index import register_index_results
from featmap.view.results_projection import register_projections

register_results()
register_projections()
register_index_results()

__all__ = ["Index", "Layer", "Network", "load", "trace"]
