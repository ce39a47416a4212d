"""An index on disk: storage, writing and reading."""
