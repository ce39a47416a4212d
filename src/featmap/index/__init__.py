"""Answers for a whole dataset, on disk: the extremes of each map on every image, and questions about them.

A build reads the images once. `schema` holds what an index keeps and in which arrays, `build` measures images block by
block, here or on a cluster, `store` writes and reads the index on disk. `questions` are answered from a snapshot;
`verify` checks an index.
"""
