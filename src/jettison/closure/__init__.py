"""Which files a program needs from a Root, and why."""
