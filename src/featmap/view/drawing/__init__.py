"""Parts that pictures are drawn from: text, colours, cells, boxes, arrows."""
