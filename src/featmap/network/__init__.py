"""A graph with weights, addresses, layers and preprocessing: what questions are asked of."""
