"""A name becomes a network: zoos, modules of one's own, archives and weights files, judged before they are opened."""
