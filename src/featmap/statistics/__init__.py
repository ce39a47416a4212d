"""Statistics per map that can be merged over images, computed in one pass by compiled code."""
