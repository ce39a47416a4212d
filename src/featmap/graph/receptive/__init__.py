"""What each value of a graph sees of the image: fields of layers, boxes of units."""
