"""A module becomes a graph, and is left as it was."""
