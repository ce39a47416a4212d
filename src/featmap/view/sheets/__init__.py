"""Pages of many maps: which stand where, how large, and in which colours."""
