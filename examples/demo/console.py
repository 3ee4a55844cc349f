"""What the demo prints: one line per thing that happened, with the time since the start.

Role: the only place that prints. It must not know what is told. Its trade-off: lines are appended
and never redrawn, so that a log of a run reads like the run; a long wait prints a heartbeat.
"""

import sys
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Console:
    """Prints lines with the elapsed time."""

    heartbeat_seconds: float = 15.0
    _started: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one line."""
        minutes, seconds = divmod(int(self.elapsed_seconds), 60)
        self._last = time.monotonic()
        sys.stdout.write(f"[{minutes:2d}:{seconds:02d}] {text}\n")
        sys.stdout.flush()

    def still(self, text: str) -> None:
        """Print the line only when nothing was printed for a while."""
        if time.monotonic() - self._last >= self.heartbeat_seconds:
            self.say(text)

    def block(self, text: str) -> None:
        """Print text as it is, such as a table."""
        self._last = time.monotonic()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
