"""Sources of networks: zoos, the user's modules, archives and weights files, which are checked before being opened."""
