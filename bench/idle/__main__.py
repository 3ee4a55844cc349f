"""`python -m bench.idle`: exit status 0 when both limits hold, 1 when not, 2 when refused.

Role: options in, one run, a table and a JSON file out. It must not know the steps. Its trade-off:
only the node of this machine is measured, since its kernel is the witness.
"""

import shlex
import signal
import sys

from bench.idle.options import parse
from bench.idle.process import NoProcessError
from bench.idle.report import keep, machine, table
from bench.idle.run import measure
from bench.idle.stage import Stage
from demo.console import Console
from demo.errors import DemoError, RefusedError
from demo.place import own_node
from devcluster.errors import DevclusterError
from infertune.adapters.kube.connection import Connection, load_configuration
from infertune.ports import ClusterError

FAILED = 1
REFUSED = 2
INTERRUPTED = 130


def main() -> int:
    """Run the bench and return its exit status."""
    console, options = Console(), parse()
    # Whoever ends the run wants the targets to go as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = shlex.join(["python", "-m", "bench.idle", *sys.argv[1:]])
    try:
        place = own_node(console)
        connection = Connection(load_configuration(str(place.settings.kubeconfig)))
        setting, figures = measure(Stage(place, connection, console), options, command)
        connection.close()
    except RefusedError as error:
        console.say(f"cannot start: {error}")
        return REFUSED
    except (DemoError, DevclusterError, ClusterError, NoProcessError) as error:
        console.say(f"failed: {error}")
        return FAILED
    except KeyboardInterrupt:
        console.say("interrupted: the targets were removed")
        return INTERRUPTED
    keep(setting, figures, options.output)
    console.block(table(setting, figures))
    console.block(f"machine: {machine()}")
    console.say(f"{'both limits hold' if figures.kept else 'over a limit'}; {options.output}")
    return 0 if figures.kept else FAILED


if __name__ == "__main__":
    sys.exit(main())
