"""The recomputed parts of a value, and how places are gathered from them."""
