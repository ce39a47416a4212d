"""Operators that take values from, or put them at, positions that other values name."""
