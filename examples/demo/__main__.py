"""`python -m demo up|down`: exit status 0 for a good run, 1 for a bad one, 2 when refused.

Role: options in, one command run, one line per error. It must not know the steps. Its trade-off:
errors of the tools below arrive as their own line of output, not as a traceback.
"""

import os
import sys

from demo import install, place
from demo.console import Console
from demo.errors import DemoError, RefusedError
from demo.options import Options, parse
from demo.up import up
from devcluster.errors import DevclusterError

FAILED = 1
REFUSED = 2
INTERRUPTED = 130


def down(options: Options, console: Console) -> None:
    """Remove everything that `up` made."""
    if options.foreign:
        where = place.existing_cluster(options)
        install.remove_everything(where.cluster, console)
    else:
        place.check_machine(options)
        place.stop_own_node(console)
    console.say("down: nothing of the demo is left; figures of past runs stay in reports/demo")


def main() -> int:
    """Run one command and return its exit status."""
    console = Console()
    try:
        options = parse(None, os.environ)
        if options.command == "up":
            up(options, console)
        else:
            down(options, console)
    except RefusedError as error:
        console.say(f"cannot start: {error}")
        return REFUSED
    except (DemoError, DevclusterError) as error:
        console.say(f"failed: {error}")
        return FAILED
    except KeyboardInterrupt:
        console.say("interrupted: `make demo` goes on from here, `make demo-down` removes it all")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
