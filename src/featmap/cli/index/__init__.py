"""`featmap index`: commands that build, inspect and verify the index of a dataset, one file each."""
