"""Start of `python -m devcluster`; everything else is in `cli`."""

from devcluster.cli import main

raise SystemExit(main())
