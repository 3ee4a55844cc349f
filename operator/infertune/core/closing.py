"""The installation goes: which tunings have to end something first, and when to stop waiting.

Role: from what stands to the next step of an uninstallation. Must not know: how long a look takes,
how anything is written. Trade-off: whoever leads rolls back, since only it can walk the order of
writes; only where nobody leads, or the time is over, finalizers go without a way back. The record
on the target and an Event then tell the way, which is more than a tuning that can never be deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from infertune.api.annotations import ABORT, wishes_of
from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import parse_status
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Event
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.snapshot import Key, RawObject

RESTING = frozenset({"Stable", "Halted"})
# Nothing has begun that would have to end, and a spec that cannot be read stays here for ever.
NOT_BEGUN = "Pending"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask these tunings to go back and rest."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """These are on their way."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Clear:
    """Take the finalizer off these: nobody else will."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing of ours holds a tuning any more."""


Step = Ask | Wait | Clear | Done


def next_step(tunings: Sequence[RawObject], word: str, *, patient: bool) -> Step:
    """Return what to do now. ``word`` is the abort of this uninstallation.

    ``patient``: somebody leads, and there is time left.
    """
    held = tuple(_key(raw) for raw in tunings if _held(raw))
    unasked = tuple(_key(raw) for raw in tunings if _busy(raw) and not _asked(raw, word))
    if patient and unasked:
        return Ask(unasked)
    unheard = tuple(_key(raw) for raw in tunings if _asked(raw, word) and not _heard(raw))
    if patient and (held or unheard):
        return Wait(tuple(sorted({*held, *unheard}, key=str)))
    return Clear(held) if held else Done()


def left_open(raw: RawObject) -> Event:
    """Return what is told of a tuning whose finalizer went without a way back."""
    status = _status(raw)
    if status.borrowed is not None and status.state not in ROLLOUT_OPEN:
        words = (
            "uninstalled while a replica was lent to trials, and no operator gave it back in time: "
            f"{status.borrowed.restore_command}"
        )
        return Event("Warning", "BorrowAbandoned", words)
    command = status.rollout.restore_command if status.rollout else None
    way = f"the values before: {command}" if command else "the target's annotation has the way back"
    words = (
        "uninstalled in the middle of a rollout, and no operator rolled it back in time: the "
        f"finalizer is gone, what was written stays unverified; {way}"
    )
    return Event("Warning", "RolloutAbandoned", words)


def _busy(raw: RawObject) -> bool:
    """Whether a tuning has to be asked; one that is being deleted goes back by itself."""
    if "deletionTimestamp" in raw["metadata"]:
        return False
    return _held(raw) or _status(raw).state not in {*RESTING, NOT_BEGUN}


def _held(raw: RawObject) -> bool:
    return FINALIZER in (raw["metadata"].get("finalizers") or ())


def _asked(raw: RawObject, word: str) -> bool:
    return (raw["metadata"].get("annotations") or {}).get(ABORT) == word


def _heard(raw: RawObject) -> bool:
    status = _status(raw)
    answered = wishes_of(raw["metadata"].get("annotations")).abort == status.abort_answered
    return answered and status.state in RESTING


def _status(raw: RawObject) -> TuningStatus:
    return parse_status(raw.get("status") or {})


def _key(raw: RawObject) -> Key:
    return Key(raw["metadata"]["namespace"], raw["metadata"]["name"])
