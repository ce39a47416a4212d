"""The region engine: a network recomputed only where something changed, on boxes with true borders."""
