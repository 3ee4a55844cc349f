"""``python -m infertune.cli``: the command line without an installed script.

Role: hand over to ``main``. Must not know: anything else. Trade-off: none.
"""

import sys

from infertune.cli import main

sys.exit(main())
