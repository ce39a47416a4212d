"""Networks: a graph with its weights, addresses, layers and preprocessing."""
