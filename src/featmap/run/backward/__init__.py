"""Signals that flow from units back to the image: deconvnet, guided backpropagation, the gradient."""
