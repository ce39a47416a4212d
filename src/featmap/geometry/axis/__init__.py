"""What an output reads along one axis: a rule per kind of operator."""
