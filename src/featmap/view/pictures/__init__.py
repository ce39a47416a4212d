"""Pictures of answers, one file per kind."""
