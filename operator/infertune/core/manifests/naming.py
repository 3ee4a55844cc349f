"""Names, labels and owner references of what we create.

Role: derive every name from the tuning and what the object is for, so that the same intent always
finds the same object. Must not know: contents. Trade-off: names carry a digest, since a tuning's
name may be longer than a Job's name may be.
"""

from collections.abc import Mapping
from hashlib import sha256

from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.core.snapshot import JobRole, TuningView
from infertune.core.space import Candidate

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_TUNING_UID = "infertune.io/tuning-uid"
LABEL_ROLE = "infertune.io/role"
LABEL_TRIAL = "infertune.io/trial"
ANNOTATION_TUNING = "infertune.io/tuning"
ANNOTATION_LAST_GOOD = "infertune.io/last-good"
ANNOTATION_LOAN = "infertune.io/loan"
FINALIZER = "infertune.io/rollout"
MANAGED_BY = "infertune"
# Replicas are written under a name of their own: they are lent, never owned.
LENDING_MANAGER = "infertune-borrow"
# So is the note of a loan: an apply gives up whatever else its own name holds.
NOTING_MANAGER = "infertune-loan"
# With a digest, a suffix such as "-benchmark" and what a Job adds to its pods this stays below 63.
_LONGEST_PREFIX = 36


def trial_name(tuning: TuningView, candidate: Candidate, attempt: int) -> str:
    """Return the name of a trial; its Jobs add ``-server`` and ``-load``."""
    return f"{_prefix(tuning)}-{_digest(tuning, candidate.id, str(attempt))}"


def probe_job_name(tuning: TuningView, probe: JobRole, node: str) -> str:
    """Return the name of a probe Job on one node."""
    return f"{_prefix(tuning)}-{_digest(tuning, probe, node)}-{probe}"


def labels(tuning: TuningView, role: JobRole, trial: str = "") -> dict[str, str]:
    """Return our labels and no others: nothing that selects live pods may select ours."""
    found = {LABEL_MANAGED_BY: MANAGED_BY, LABEL_TUNING_UID: tuning.uid, LABEL_ROLE: role}
    return found | ({LABEL_TRIAL: trial} if trial else {})


def owner_reference(tuning: TuningView) -> dict[str, object]:
    """Return the reference that lets the garbage collector follow the tuning."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": tuning.key.name,
        "uid": tuning.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def object_metadata(
    tuning: TuningView, name: str, object_labels: Mapping[str, str]
) -> dict[str, object]:
    """Return the metadata of an object that this tuning owns."""
    return {
        "name": name,
        "namespace": tuning.key.namespace,
        "labels": dict(object_labels),
        "annotations": {ANNOTATION_TUNING: tuning.key.name},
        "ownerReferences": [owner_reference(tuning)],
    }


def _prefix(tuning: TuningView) -> str:
    return tuning.key.name[:_LONGEST_PREFIX].rstrip("-.").replace(".", "-")


def _digest(tuning: TuningView, *parts: str) -> str:
    text = "\n".join((tuning.uid, str(tuning.generation), *parts))
    return sha256(text.encode()).hexdigest()[:10]
