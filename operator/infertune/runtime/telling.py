"""What the runtime tells about itself.

Role: the few calls behind the operator's own metrics. Must not know: how they are exposed.
Trade-off: calls instead of a log that is parsed later; there are five of them.
"""

from typing import Protocol

from infertune.api.status import StateName
from infertune.core.snapshot import Key


class Telemetry(Protocol):
    """Receives what happened."""

    def ticked(self, outcome: str, seconds: float) -> None:
        """One tick is over; ``outcome`` is done, gone, or the name of a failure."""
        ...

    def executed(self, effect: str, outcome: str) -> None:
        """One effect was tried; ``outcome`` is ok or the name of a failure."""
        ...

    def state_is(self, key: Key, state: StateName | None) -> None:
        """A tuning is in this state; None when it is gone."""
        ...


class Silence:
    """Telemetry that nobody listens to."""

    def ticked(self, outcome: str, seconds: float) -> None:
        """Do nothing."""

    def executed(self, effect: str, outcome: str) -> None:
        """Do nothing."""

    def state_is(self, key: Key, state: StateName | None) -> None:
        """Do nothing."""
