"""The time, as an object that can be replaced.

Role: the one place that reads the machine's clock for decisions. Must not know: who asks.
Trade-off: wall-clock time, because it is written into status and compared across operators.
"""

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """Return the current time with its zone."""
        return datetime.now(UTC)
