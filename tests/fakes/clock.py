"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Time under the test's hand."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._steady = now

    def now(self) -> datetime:
        return self._now

    def steady(self) -> datetime:
        return self._steady

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._steady += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set the clock, without any time passing."""
        self._now += timedelta(seconds=seconds)

    def stamp(self) -> str:
        """Return the time as Kubernetes writes it."""
        return self._now.strftime("%Y-%m-%dT%H:%M:%SZ")
