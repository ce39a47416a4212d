"""What several questions share: scores, filters, windows, and what a projection is."""
