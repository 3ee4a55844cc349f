"""``kubectl logs --follow`` of one pod, line by line, in a thread.

Role: keep one kubectl running and hand on what it says. Must not know: what a line means.
Trade-off: where the stream was cut off it goes on with new lines only, so a moment may be missing
and no line comes twice.
"""

import subprocess
import threading
from collections.abc import Callable

from infertune.adapters.kube.jobs import PROBE_CONTAINER
from infertune.cli.kubectl import Kubectl
from infertune.report.watch_rows import LONGEST_LINE

_PATIENCE_SECONDS = 5.0


class Follower:
    """One kubectl that follows one pod."""

    def __init__(self, kubectl: Kubectl, namespace: str, pod: str, *, again: bool) -> None:
        tail = ("--tail=0",) if again else ()
        where = ("--namespace", namespace, "--container", PROBE_CONTAINER, "--follow", *tail)
        # In a session of its own: Ctrl-C is ours to answer, and whoever answers ends it.
        self._process = subprocess.Popen(  # noqa: S603  # the words are ours, no shell reads them
            kubectl.command("logs", pod, *where),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def ended(self) -> bool:
        """Whether every line was handed on."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self, take: Callable[[str], None]) -> None:
        """Call ``take`` for each line, from a thread; an endless line comes in pieces."""
        self._thread = threading.Thread(target=self._read, args=(take,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End kubectl; what it said and nobody took is dropped."""
        self._stopped.set()
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, take: Callable[[str], None]) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            while not self._stopped.is_set() and (line := stream.readline(LONGEST_LINE)):
                take(line)
