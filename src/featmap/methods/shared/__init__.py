"""Parts that several methods share: scores, filters, windows, and projections."""
