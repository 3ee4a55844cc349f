"""The annotation ``infertune.io/loan``: the second home of a borrowed replica.

Role: a loan as JSON on the object that is lowered, written before the act and removed after the
return; read again where the status is lost. Must not know: states, when something is lent.
Trade-off: it is applied under a manager of its own, which costs one more write, so that tuned
fields, lent replicas and their release are not mixed up with it; a text that cannot be read counts
as none.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from infertune.api.status import Borrowed
from infertune.core.manifests.apply_documents import AUTOSCALER_API, AUTOSCALER_KIND
from infertune.core.manifests.naming import ANNOTATION_LOAN, NOTING_MANAGER
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.render import canonical_json
from infertune.core.snapshot import Key, RawObject, TuningView

PATH = ("metadata", "annotations", ANNOTATION_LOAN)
_WORKLOAD_API = "apps/v1"
_WORKLOADS = frozenset({"Deployment", "StatefulSet"})
_PROGRESS = {"lowered", "returning"}


@dataclass(frozen=True, slots=True)
class LoanRecord:
    """A loan as its object tells it, for the object as it stands, and whose it is."""

    tuning_name: str
    tuning_uid: str
    lent: Borrowed

    def is_of(self, tuning: TuningView) -> bool:
        """Whether this tuning lent it, or one of the same name that it replaced."""
        return self.tuning_uid == tuning.uid or self.tuning_name == tuning.key.name


def note_loan(tuning: TuningView, lent: Borrowed, lender: RawObject) -> ApplyFields:
    """Return the write that notes the loan on the object, before anything is lowered there."""
    content = {
        "version": 1,
        "tuning": {"name": tuning.key.name, "uid": tuning.uid},
        "loan": lent.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_PROGRESS),
    }
    return _noting(tuning.key, lent, lender, canonical_json(content))


def drop_note(key: Key, lent: Borrowed, lender: RawObject | None) -> ApplyFields | None:
    """Return the removal of the note; None where there is none."""
    if lender is None or _noted(lender) is None:
        return None
    return _noting(key, lent, lender, None)


def loans_noted(target: RawObject | None, autoscaler: RawObject | None) -> Iterator[LoanRecord]:
    """Return the loans that both objects tell of.

    A backup restores objects with other UIDs: the values are the same, and so is the loan.
    """
    for raw, of_autoscaler in ((autoscaler, True), (target, False)):
        text = None if raw is None else _noted(raw)
        if raw is None or text is None:
            continue
        found = _read(text)
        if found is None or (found.lent.autoscaler is not None) is not of_autoscaler:
            continue
        if not of_autoscaler and found.lent.kind not in _WORKLOADS:
            continue
        metadata, lent = raw["metadata"], found.lent
        # A copy of an object under another name has lent nothing.
        if metadata["name"] != (lent.autoscaler if of_autoscaler else lent.name):
            continue
        uid = str(metadata["uid"])
        here = {"autoscaler_uid" if of_autoscaler else "target_uid": uid}
        lent = lent.model_copy(update=here)
        # Whoever may edit the object may write the note; nobody shall paste what they wrote there.
        line = by_hand(str(metadata["namespace"]), lent)
        lent = lent.model_copy(update={"restore_command": line})
        yield LoanRecord(found.tuning_name, found.tuning_uid, lent)


def by_hand(namespace: str, lent: Borrowed) -> str:
    """Return the kubectl line that gives the replica back without us."""
    if lent.autoscaler is None:
        line = f"scale {lent.kind.lower()} {lent.name} --replicas={lent.before.max_replicas}"
        return f"kubectl -n {namespace} {line}"
    bounds = lent.before.model_dump_json(by_alias=True)
    return f"kubectl -n {namespace} patch hpa {lent.autoscaler} -p '{{\"spec\":{bounds}}}'"


def _noting(key: Key, lent: Borrowed, lender: RawObject, text: str | None) -> ApplyFields:
    of_autoscaler = lent.autoscaler is not None
    document = {
        "apiVersion": AUTOSCALER_API if of_autoscaler else _WORKLOAD_API,
        "kind": AUTOSCALER_KIND if of_autoscaler else lent.kind,
        "metadata": {
            "name": lent.autoscaler or lent.name,
            "namespace": key.namespace,
            "uid": lent.autoscaler_uid if of_autoscaler else lent.target_uid,
            **({} if text is None else {"annotations": {ANNOTATION_LOAN: text}}),
        },
    }
    expected = (FieldExpectation(PATH, _noted(lender), text),)
    return ApplyFields(document, expected, adopt=True, manager=NOTING_MANAGER)


def _noted(raw: RawObject) -> str | None:
    text = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_LOAN)
    return text if isinstance(text, str) else None


def _read(text: str) -> LoanRecord | None:
    try:
        content = json.loads(text)
        name, uid = content["tuning"]["name"], content["tuning"]["uid"]
        lent = Borrowed.model_validate(content["loan"])
    except (ValueError, LookupError, TypeError, RecursionError, ValidationError):
        return None
    return LoanRecord(str(name), str(uid), lent)
