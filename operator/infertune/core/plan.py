"""What one tick decides: a new status, effects in order, things to tell.

Role: decisions as values, to be asserted on, logged and replayed. Must not know: how an effect is
executed. Trade-off: each effect carries its own precondition, so the executor needs no judgement.
"""

from dataclasses import dataclass, field
from typing import Literal

from infertune.api.status import TuningStatus
from infertune.core.argument_lists import FieldValue
from infertune.core.ownership import FIELD_MANAGER
from infertune.core.snapshot import RawObject


@dataclass(frozen=True, slots=True)
class CreateObject:
    """Create a Job or ConfigMap; when it exists with our owner UID, that is success."""

    manifest: RawObject


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Delete an object that we own, by UID; gone already is success."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class FieldExpectation:
    """A field that must hold one of two values before a write: the old one, or the new one.

    ``path`` is a tuple of keys; list items of a Kubernetes map list are picked by ``name=...``.
    ``None`` stands for an absent field; of a list of arguments only our own tokens are known, and
    the others by their digest. ``owners`` are the managers beside us whom a change may
    take the field from; None asks nobody.
    """

    path: tuple[str, ...]
    old: FieldValue
    new: FieldValue
    owners: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ApplyFields:
    """Server-side apply of exactly our fields of one object.

    ``document`` carries metadata.uid, so a vanished object is never created anew. Lists of
    arguments and what is ours already are not in it: ``sent_document`` adds them at the write.
    When every expectation already holds its new value the write is skipped; when one holds neither
    value, nothing is written and the tick reports ``FieldConflict``.
    ``adopt`` forces ownership of the declared fields: once per field, when the intent is fresh.
    ``manager`` is under whose name it is applied: what it leaves out of that name's fields goes.
    """

    document: RawObject
    expectations: tuple[FieldExpectation, ...]
    adopt: bool
    manager: str = FIELD_MANAGER


@dataclass(frozen=True, slots=True)
class ReleaseFields:
    """Give up our ownership of an object's fields; every value stays as it is.

    ``keep`` names fields that stay ours; where nothing is kept our annotation goes as well. Nothing
    is written when the object is gone or another one, or bears the mark of another tuning.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    tuning: str
    keep: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ScaleWorkload:
    """Set the replicas of a workload through its scale; only to lend a replica to trials.

    Nothing is written when it holds ``new`` already; FieldTaken when it holds neither.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Add or remove our finalizer on the tuning."""

    present: bool


Effect = CreateObject | DeleteObject | ApplyFields | ReleaseFields | ScaleWorkload | SetFinalizer


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the tuning, told after the status is recorded."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one tick.

    ``requeue_seconds`` is when to look again though nothing happened; None waits for an event.
    ``decision`` is the sentence of the decision log, with its evidence.
    """

    status: TuningStatus
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_seconds: float | None = None
    decision: str = ""
    evidence: dict[str, object] = field(default_factory=dict)
