"""featmap: a measuring instrument for the feature maps of convolutional networks."""
