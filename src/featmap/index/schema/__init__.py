"""The content of an index and the layout of its arrays: plain data."""
