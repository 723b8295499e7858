"""A filesystem as a value, where it comes from, and how it becomes a tar stream."""
