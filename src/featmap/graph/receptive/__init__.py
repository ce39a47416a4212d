"""Receptive fields of a graph: the fields of layers and the boxes of units."""
