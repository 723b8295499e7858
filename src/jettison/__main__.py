"""`python -m jettison`."""

from jettison.cli.main import start

if __name__ == "__main__":
    start()
