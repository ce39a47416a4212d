"""The contract of all operators: calls drawn from torch's schemas, graphs that hold them, checks that hold of them."""
