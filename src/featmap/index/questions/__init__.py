"""Answers from an index, one file per question."""
