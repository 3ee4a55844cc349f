"""Replicas that a tuning has lent and nobody gives back: ``infertune release`` does.

Role: find the objects that bear the note of such a loan, put back what stood before, take the note
off. Must not know: what a release is. Trade-off: each step tests the very values that it replaces,
instead of a version of the object, so that a busy controller does not get in the way.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infertune.cli.kubectl import Kubectl, KubectlError
from infertune.core.borrowing import standing
from infertune.core.loan_return import LentObject, lent_object, restoring
from infertune.core.snapshot import Key

ATTEMPTS = 5


def return_loans(kubectl: Kubectl, key: Key, kinds: str) -> list[str]:
    """Give back what a tuning has lent; return the objects, as ``kind/name``.

    Raises:
        KubectlError: something could not be given back.
    """
    returned: dict[str, None] = {}
    for _ in range(ATTEMPTS):
        refused = ""
        for raw, found in _lent(kubectl, key, kinds):
            name = f"{raw['kind']}/{raw['metadata']['name']}"
            try:
                _return(kubectl, name, found)
            except KubectlError as error:
                # Somebody set the replicas since they were read: read and look again.
                refused = str(error)
            else:
                returned[name] = None
        if not refused:
            return list(returned)
    message = f"a lent replica was not given back: {refused}"
    raise KubectlError(message)


def _lent(kubectl: Kubectl, key: Key, kinds: str) -> list[tuple[Mapping[str, Any], LentObject]]:
    listed = kubectl.read("-n", key.namespace, "get", kinds)
    items: Sequence[Mapping[str, Any]] = listed["items"]
    found = [(raw, lent_object(raw["kind"], raw)) for raw in items]
    return [(raw, lent) for raw, lent in found if lent is not None and lent.key == key]


def _return(kubectl: Kubectl, name: str, found: LentObject) -> None:
    where, lent = ("-n", found.key.namespace), found.lent
    if lent.autoscaler is None and standing(lent, found.raw) == "During":
        during, before = lent.during.max_replicas, lent.before.max_replicas
        kubectl.text(*where, "scale", name, f"--current-replicas={during}", f"--replicas={before}")
    patch = json.dumps(restoring(found))
    kubectl.text(*where, "patch", name, "--type=json", "-p", patch)
