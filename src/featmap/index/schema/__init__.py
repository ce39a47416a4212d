"""What an index keeps and how it lies in its arrays: plain data."""
