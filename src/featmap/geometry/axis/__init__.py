"""Axis rules, one per kind of operator: what an output reads along one axis."""
