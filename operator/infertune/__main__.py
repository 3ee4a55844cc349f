"""``python -m infertune`` runs the operator."""

import sys

from infertune.main import main

sys.exit(main())
