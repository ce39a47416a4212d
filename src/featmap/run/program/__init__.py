"""A graph as the steps that compute its wanted values."""
