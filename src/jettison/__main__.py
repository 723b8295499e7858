"""`python -m jettison`."""

from jettison.cli.main import main

raise SystemExit(main())
