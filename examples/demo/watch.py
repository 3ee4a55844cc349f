"""Follow the tuning until it rests, telling what happens.

Role: one look at the status a second; the story of the difference goes to the console. It must not
know what a good end is. Its trade-off: polling one small object instead of a watch, because a poll
cannot hang silently.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from demo import story
from demo.console import Console
from demo.errors import DemoError
from demo.kubectl import Kubectl
from demo.observe import fetch_status
from devcluster.errors import CommandError
from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus

LOOK_SECONDS = 1.0
RESTING = ("Stable", "Halted")
PATIENCE_LOOKS = 15


@dataclass(frozen=True, slots=True)
class Ending:
    """Where the tuning came to rest."""

    status: TuningStatus
    lines: tuple[str, ...]


def follow(
    cluster: Kubectl, spec: TuningSpec, name: str, console: Console, limit_seconds: float
) -> Ending:
    """Tell the story until the tuning is Stable or Halted.

    Raises:
        DemoError: The tuning vanished, could not be read for 15 looks, or took too long.
    """
    told: list[str] = []
    before: TuningStatus | None = None
    deadline = time.monotonic() + limit_seconds
    failures = 0
    while time.monotonic() < deadline:
        status, problem = _look(cluster, name)
        failures = failures + 1 if problem else 0
        if failures >= PATIENCE_LOOKS:
            message = f"the tuning could not be read: {problem}"
            raise DemoError(message)
        if status is not None:
            for line in story.tell(spec, before, status):
                told.append(line)
                console.say(line)
            before = status
            if status.state in RESTING:
                return Ending(status, tuple(told))
            console.still(story.waiting(spec, status))
        time.sleep(LOOK_SECONDS)
    state = before.state if before else "unknown"
    message = f"the tuning was still {state} after {limit_seconds:.0f} s"
    raise DemoError(message)


def seconds_after(status: TuningStatus, moment: datetime) -> float | None:
    """Return how long after a moment the present state was entered; None when unknown."""
    since = status.state_since
    return None if since is None else (since - moment).total_seconds()


def _look(cluster: Kubectl, name: str) -> tuple[TuningStatus | None, str]:
    try:
        status = fetch_status(cluster, name)
    except CommandError as error:
        return None, str(error)
    if status is None:
        message = f"the tuning {name} is gone"
        raise DemoError(message)
    return status, ""
