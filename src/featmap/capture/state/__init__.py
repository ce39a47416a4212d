"""What a forward writes to its module and around it, noted and put back."""
