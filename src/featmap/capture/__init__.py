"""Captures: a module is turned into a graph and left as it was."""
