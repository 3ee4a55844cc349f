"""``python -m infertune.uninstall``: what the chart runs before it is removed.

Role: settings and adapters for one ``Closing``; the exit status is the hook's. Must not know: what
is asked of tunings. Trade-off: it runs as the operator's own account, which loses its rights with
the rest of the chart: whatever it does not end here, nobody of ours ends.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime

from infertune.adapters.clock import SystemClock, seconds_since_boot
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Connection, load_configuration, own_namespace
from infertune.adapters.kube.leases import KubeLease
from infertune.adapters.telemetry import log_as_json
from infertune.ports import ClusterError
from infertune.runtime.closing import Closing, Patience
from infertune.runtime.lease import Terms
from infertune.runtime.settings import SettingsError, settings_from, whole_of

LIMIT = "INFERTUNE_UNINSTALL_SECONDS"
DEFAULT_SECONDS = 180
_log = logging.getLogger(__name__)


def main(environment: Mapping[str, str] | None = None) -> int:
    """Let every tuning end what is open; return 0 when none is held by us any more."""
    found = os.environ if environment is None else environment
    try:
        settings = settings_from(found)
        limit = whole_of(found, LIMIT, DEFAULT_SECONDS, 1, 3600)
    except SettingsError as error:
        sys.stderr.write(f"infertune: {error}\n")
        return 2
    log_as_json(settings.log_level)
    clock, connection = SystemClock(), Connection(load_configuration())
    cluster = KubeCluster(connection, clock, settings.namespaces)
    namespace = settings.lease_namespace or own_namespace()
    lease = KubeLease(connection, clock, namespace, settings.lease_name)
    closing = Closing(cluster, lease, seconds_since_boot, time.sleep, word_of(clock.now()))
    try:
        cleared = closing.run(Patience(limit, Terms().term_seconds))
    except ClusterError as error:
        _log.exception("tunings may still bear the finalizer", extra={"error": str(error)})
        return 1
    finally:
        connection.close()
    _log.info("nothing of ours holds a tuning", extra={"cleared": [str(key) for key in cleared]})
    return 0


def word_of(now: datetime) -> str:
    """Return what the abort says for people: an abort of another uninstallation is another one."""
    return f"uninstalled at {now:%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    sys.exit(main())
