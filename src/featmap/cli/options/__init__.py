"""Options and words that several commands share."""
