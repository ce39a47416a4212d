"""Parts that pictures are made of: text, colours, cells, boxes, arrows."""
