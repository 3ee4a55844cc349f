"""The time, as an object that can be replaced.

Role: the one place that reads the machine's clock for decisions. Must not know: who asks.
Trade-off: wall-clock time, because it is written into status and compared across operators; what
must not jump with it (a Lease) counts seconds since the machine started.
"""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """Return the current time with its zone."""
        return datetime.now(UTC)

    def steady(self) -> datetime:
        """Return a time that only ever counts up, whatever the clock is set to."""
        return _EPOCH + timedelta(seconds=seconds_since_boot())


def seconds_since_boot() -> float:
    """Return seconds that only ever count up, and go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
