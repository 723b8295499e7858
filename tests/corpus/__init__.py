"""Real programs of Debian, each used: packed with no hint, they must do inside what they do outside."""
