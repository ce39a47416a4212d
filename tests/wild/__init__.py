"""Networks of other people's packages, compared with their own modules: `make wild`."""
