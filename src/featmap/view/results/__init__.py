"""Printing, pictures and files of each type of result."""
