"""A dataset becomes an index: images measured block by block, on this machine or on a cluster."""
