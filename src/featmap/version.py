"""The version of featmap."""

__version__ = "0.1.0"
