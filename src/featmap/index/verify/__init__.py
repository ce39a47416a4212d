"""Everything in an index that can be checked."""
