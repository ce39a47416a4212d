"""Pages of many maps: their order, sizes and colours."""
