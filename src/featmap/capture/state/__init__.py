"""State that a forward writes to its module and around it, noted before and restored after."""
