"""One function a verb: the public Python API."""
