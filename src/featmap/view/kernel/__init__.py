"""A kernel that slides over its input: one scene, drawn as SVG and as GIF."""
