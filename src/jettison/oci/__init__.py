"""What the OCI specifications say, as values; no input or output."""
