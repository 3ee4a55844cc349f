"""``infertune release NAMESPACE/NAME``: give a tuned target back to whoever owned it.

Role: find what bears the tuning's record, and remove our ownership and the record; every value
stays. Must not know: how ownership is recorded. Trade-off: kubectl is called instead of a client
library, so it happens with the rights, context and credentials of the user, with or without an
operator; objects are found by their record, so it works when the tuning is gone as well.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infertune.api.v1alpha1 import GROUP, PLURAL, parse_status
from infertune.cli.kubectl import WRONG_INPUT, Kubectl, KubectlError, add_kubectl
from infertune.cli.lent_replicas import return_loans
from infertune.cli.parsing import Commands
from infertune.core.release import mark_of, release_of, release_patch
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.snapshot import Key

ATTEMPTS = 5
KINDS = "deployments.apps,statefulsets.apps,horizontalpodautoscalers.v2.autoscaling"


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("release", help="give ownership of a tuned target back")
    parser.add_argument("tuning", metavar="NAMESPACE/NAME", help="the tuning, there or gone")
    add_kubectl(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        key = _key(arguments.tuning)
        kubectl = Kubectl.of(arguments)
        there = _may_be_released(kubectl, key)
        lent = return_loans(kubectl, key, KINDS)
        released = _release_all(kubectl, key, lent)
    except KubectlError as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status
    for name in lent:
        print(f"{name.lower()} has the replica back that was lent to trials")
    for name in released:
        print(f"{name} released: its values stay, infertune owns nothing there")
    if not released and not lent:
        print(f"nothing in namespace {key.namespace} bears a record of tuning {key.name}")
    elif there:
        print(
            f"inferencetuning/{key.name} is still there: delete it, or set spec.mode to Recommend, "
            "or its next rollout adopts the fields anew"
        )
    return 0


def _key(text: str) -> Key:
    namespace, separator, name = text.partition("/")
    if not separator or not namespace or not name or "/" in name:
        message = f"tuning: must be NAMESPACE/NAME (got {text!r})"
        raise KubectlError(message, WRONG_INPUT)
    return Key(namespace, name)


def _may_be_released(kubectl: Kubectl, key: Key) -> bool:
    """Return whether the tuning is there; one in the middle of a rollout is left to it."""
    resource = f"{PLURAL}.{GROUP}"
    command = ("-n", key.namespace, "get", resource, key.name, "-o", "json", "--ignore-not-found")
    text = kubectl.text(*command)
    if not text.strip():
        return False
    status = parse_status(json.loads(text).get("status") or {})
    state = status.state
    if status.borrowed is not None:
        message = (
            f"tuning {key} has lent a replica to its trials: set spec.suspend to true and wait "
            "until status.borrowed is gone, then release it"
        )
        raise KubectlError(message)
    if state in ROLLOUT_OPEN:
        message = (
            f"tuning {key} is {state}: annotate it with infertune.io/abort and wait until it is "
            "Halted, then release it"
        )
        raise KubectlError(message)
    return True


def _release_all(kubectl: Kubectl, key: Key, lent: Sequence[str]) -> list[str]:
    """Release all that bears the tuning's record, or was lent; return what bore the record."""
    released: list[str] = []
    for _ in range(ATTEMPTS):
        refused = ""
        for raw in _marked(kubectl, key, lent):
            name = f"{raw['kind'].lower()}/{raw['metadata']['name']}"
            problem = _release(kubectl, key, raw)
            refused = refused or problem
            if not problem and mark_of(raw["apiVersion"], raw["kind"], raw) is not None:
                released.append(name)
        if not refused:
            return released
    message = f"not everything was released: {refused}"
    raise KubectlError(message)


def _marked(kubectl: Kubectl, key: Key, lent: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the objects of the namespace that bear the tuning's record or were lent by it."""
    where = ("-n", key.namespace, "get", KINDS, "-o", "json", "--show-managed-fields")
    items: Sequence[Mapping[str, Any]] = json.loads(kubectl.text(*where))["items"]
    return [raw for raw in items if _is_its(raw, key, lent)]


def _is_its(raw: Mapping[str, Any], key: Key, lent: Sequence[str]) -> bool:
    mark = mark_of(raw["apiVersion"], raw["kind"], raw)
    if mark is None:
        return f"{raw['kind']}/{raw['metadata']['name']}" in lent
    return mark.key == key


def _release(kubectl: Kubectl, key: Key, raw: Mapping[str, Any]) -> str:
    """Release one object; return why the server did not accept it, or nothing."""
    patch = release_patch(raw, release_of(raw["apiVersion"], raw["kind"], raw, key))
    if patch is None:
        return ""
    name = f"{raw['kind']}/{raw['metadata']['name']}"
    command = ("-n", key.namespace, "patch", name, "--type=json", "-p", json.dumps(patch))
    try:
        kubectl.text(*command)
    except KubectlError as error:
        # Most often a controller has changed the object since it was read: read and try again.
        return str(error)
    return ""
