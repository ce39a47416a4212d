"""Files that name or hold images: lists and tar files, in a table by their suffixes."""
