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
from infertune.cli.parsing import Commands
from infertune.core.release import mark_of, release, release_patch
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
        released = _release_all(kubectl, key)
    except KubectlError as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status
    for name in released:
        print(f"{name} released: its values stay, infertune owns nothing there")
    if not released:
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
    state = parse_status(json.loads(text).get("status") or {}).state
    if state in ROLLOUT_OPEN:
        message = (
            f"tuning {key} is {state}: annotate it with infertune.io/abort and wait until it is "
            "Halted, then release it"
        )
        raise KubectlError(message)
    return True


def _release_all(kubectl: Kubectl, key: Key) -> list[str]:
    """Release everything that bears the tuning's record; return what it was."""
    released: list[str] = []
    for _ in range(ATTEMPTS):
        refused = ""
        for raw in _marked(kubectl, key):
            name = f"{raw['kind'].lower()}/{raw['metadata']['name']}"
            problem = _release(kubectl, key, raw)
            refused = refused or problem
            if not problem:
                released.append(name)
        if not refused:
            return released
    message = f"not everything was released: {refused}"
    raise KubectlError(message)


def _marked(kubectl: Kubectl, key: Key) -> list[Mapping[str, Any]]:
    """Return the objects of the namespace that bear the tuning's record."""
    where = ("-n", key.namespace, "get", KINDS, "-o", "json", "--show-managed-fields")
    items: Sequence[Mapping[str, Any]] = json.loads(kubectl.text(*where))["items"]
    found = [(raw, mark_of(raw["apiVersion"], raw["kind"], raw)) for raw in items]
    return [raw for raw, mark in found if mark is not None and mark.key == key]


def _release(kubectl: Kubectl, key: Key, raw: Mapping[str, Any]) -> str:
    """Release one object; return why the server did not accept it, or nothing."""
    mark = mark_of(raw["apiVersion"], raw["kind"], raw)
    patch = release_patch(raw, release(mark)) if mark is not None else None
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
