"""A loan whose tuning is gone: the way back by the note alone.

Role: from an object that bears the note of a loan to whose it is and to the writes that end it.
Must not know: how objects are watched, whether the tuning is there. Trade-off: the object as it was
last seen decides which writes are due, so each of them expects what stands there once more; bounds
that somebody has set meanwhile stay, and only the note goes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from infertune.api.status import Borrowed
from infertune.core.argument_lists import Operation
from infertune.core.borrowing import give_back, give_up, standing
from infertune.core.loan_record import PATH, LoanRecord, drop_note, loans_noted
from infertune.core.manifests.apply_documents import AUTOSCALER_KIND
from infertune.core.manifests.naming import ANNOTATION_LOAN
from infertune.core.plan import ApplyFields, Event, FieldExpectation, ReleaseFields, ScaleWorkload
from infertune.core.snapshot import Key, RawObject


@dataclass(frozen=True, slots=True)
class LentObject:
    """An object that bears the note of a loan which was made on it, as it was last seen."""

    record: LoanRecord
    raw: RawObject

    @property
    def key(self) -> Key:
        """Return the tuning that lent; it lives in the namespace of the object."""
        return Key(str(self.raw["metadata"]["namespace"]), self.record.tuning_name)

    @property
    def lent(self) -> Borrowed:
        """Return the loan."""
        return self.record.lent


def lent_object(kind: str, raw: RawObject) -> LentObject | None:
    """Return the loan that an object tells of; None without one, or with that of another kind."""
    of_autoscaler = kind == AUTOSCALER_KIND
    noted = loans_noted(None, raw) if of_autoscaler else loans_noted(raw, None)
    record = next(noted, None)
    if record is None:
        return None
    if not record.tuning_name or (not of_autoscaler and record.lent.kind != kind):
        return None
    return LentObject(record, raw)


def orphaned(
    found: Iterable[LentObject], tuning_uid: str, target: tuple[str, str] | None
) -> tuple[LentObject, ...]:
    """Return the loans of a tuning of the same name that was there before, on another target.

    One on the target of today's tuning is taken up by it. ``target`` is its kind and its name.
    """
    return tuple(
        one
        for one in found
        if one.record.tuning_uid != tuning_uid and (one.lent.kind, one.lent.name) != target
    )


def ways_back(found: LentObject) -> tuple[ApplyFields | ScaleWorkload | ReleaseFields, ...]:
    """Return the writes that end the loan, in order; each may be repeated.

    The note goes last: who stops in between is followed by somebody who reads it.
    """
    key, lent = found.key, found.lent
    back = give_back(key, lent, found.raw) if standing(lent, found.raw) == "During" else None
    if isinstance(back, ApplyFields):
        # Whoever took the note off has ended the loan: the same bounds are then somebody's wish.
        text = found.raw["metadata"]["annotations"][ANNOTATION_LOAN]
        back = replace(back, expectations=(*back.expectations, FieldExpectation(PATH, text, text)))
    endings = (back, give_up(key, lent), drop_note(key, lent, found.raw))
    return tuple(effect for effect in endings if effect is not None)


def restoring(found: LentObject) -> tuple[Operation, ...]:
    """Return the JSON patch that ends the loan by a human's hand; it tests what it replaces.

    Replicas of a workload are not in it: they go back through its scale, before this.
    """
    lent, note = found.lent, f"/metadata/annotations/{ANNOTATION_LOAN.replace('/', '~1')}"
    text = found.raw["metadata"]["annotations"][ANNOTATION_LOAN]
    steps: list[Operation] = [{"op": "test", "path": note, "value": text}]
    if lent.autoscaler is not None and standing(lent, found.raw) == "During":
        during = lent.during.model_dump(by_alias=True)
        for name, value in lent.before.model_dump(by_alias=True).items():
            path = f"/spec/{name}"
            steps.append({"op": "test", "path": path, "value": during[name]})
            steps.append({"op": "replace", "path": path, "value": value})
    return (*steps, {"op": "remove", "path": note})


def returned(found: LentObject) -> Event:
    """Return what is said of it once it is done."""
    lent = found.lent
    kind, name = (AUTOSCALER_KIND, lent.autoscaler) if lent.autoscaler else (lent.kind, lent.name)
    if standing(lent, found.raw) == "During":
        words = f"{lent.before.min_replicas}-{lent.before.max_replicas} stands again"
    else:
        words = "its replicas were set by somebody else and stay"
    sentence = (
        f"InferenceTuning {found.key.name!r} is gone and had lent a replica of {kind} {name!r}: "
        f"{words}"
    )
    return Event("Warning", "BorrowEnded", sentence)
