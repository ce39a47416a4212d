"""Numbers per map that can be added up over images, found in one pass by compiled code."""
