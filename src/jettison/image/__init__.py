"""Images, and where they live."""
