"""Output formats: one class each, and the table by suffix. Importing this folder loads nothing heavy."""
