"""Images of all kinds, listed, located and read: picture files, folders, lists, tar files and iterables."""
