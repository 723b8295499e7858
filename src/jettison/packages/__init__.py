"""Who owns which file."""
