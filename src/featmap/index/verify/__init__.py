"""Checks of everything in an index."""
