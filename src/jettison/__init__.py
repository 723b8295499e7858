"""Ship the application, not the distribution."""

__version__ = "0.1.0"
