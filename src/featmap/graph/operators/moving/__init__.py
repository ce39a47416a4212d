"""Operators that move values without computing: reshapes, cuts, copies, shuffles."""
