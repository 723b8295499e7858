"""What rules bring where patterns end: one module a format, each with `needs(subject, reason)`."""
