"""Whatever is images: picture files, folders, lists, tars and iterables, listed, located and read."""
