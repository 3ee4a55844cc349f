"""What may go wrong at one call: the process ends, or the answer is not the wanted one.

Role: every kind of disturbance as a doorkeeper would carry it out. A status code becomes an error
by the very function that the real adapter uses. Trade-off: no read is answered with a 404 that
names an existing object, since no API server does; objects that are really gone have stories.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infertune.adapters.kube.errors import error_of
from infertune.core.evidence import NoData
from infertune.ports import ClusterError, Unavailable
from tests.fakes.doors import Call, may_return

# Methods that never fail, with the reason. They are killed at all the same.
NEVER_FAIL = {"post_event": "a lost Event changes nothing: the port logs it and returns"}
OUTAGE_SECONDS = 60.0
A_WHILE = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of failure. ``times`` calls of the method in a row meet it; ``done`` acts first.

    ``one_read_in`` thins the reads out where the port cannot tell this failure from another one:
    429, 500, a kind that is not served and a timeout are all ``Unavailable``, and the 500 meets
    every read. Failures that last are thinned out at reads too: a tick that cannot read plans
    nothing.
    """

    name: str
    error: Callable[[], ClusterError]
    to_writes: bool = True
    to_reads: bool = True
    done: bool = False
    times: int = 1
    one_read_in: int = 1

    def fits(self, call: Call) -> bool:
        """Return whether a server could answer this call like this."""
        if call.method in NEVER_FAIL:
            return False
        return self.to_writes if call.writes else self.to_reads

    def answer(self, call: Call, go: Callable[[], Any]) -> Any:
        """Answer one call with this failure."""
        if self.done:
            go()
        error = self.error()
        if may_return(call.method, NoData):
            return NoData("Unavailable", str(error))
        raise error


def _status(code: int, reason: str, message: str, **details: str) -> Callable[[], ClusterError]:
    content = {"kind": "Status", "reason": reason, "message": message, "details": details}
    body = json.dumps(content)
    return lambda: error_of(code, body)


_RBAC = 'User "infertune" cannot patch resource "deployments" in API group "apps"'
_POLICY = 'admission webhook "policy" denied the request: not today'
_MOVED = "Operation cannot be fulfilled: the object has been modified"
_FAULTS = (
    Fault("409", _status(409, "Conflict", _MOVED), to_reads=False),
    Fault("403", _status(403, "Forbidden", _RBAC)),
    Fault("403 by a policy", _status(403, "Forbidden", _POLICY), to_reads=False),
    Fault(
        "404, not served",
        _status(404, "", "the server could not find the requested resource"),
        one_read_in=5,
    ),
    Fault(
        "404",
        _status(404, "NotFound", 'deployments.apps "server" not found', name="server"),
        to_reads=False,
    ),
    Fault(
        "429", _status(429, "TooManyRequests", "too many requests, try again later"), one_read_in=5
    ),
    Fault("500", _status(500, "InternalError", "etcdserver: leader changed")),
    Fault("timeout, not done", lambda: Unavailable("read timed out"), one_read_in=5),
    Fault("timeout, done", lambda: Unavailable("read timed out"), to_reads=False, done=True),
    Fault("403 for a while", _status(403, "Forbidden", _RBAC), times=A_WHILE, one_read_in=5),
    Fault(
        "500 for a while", _status(500, "InternalError", "no leader"), times=A_WHILE, one_read_in=5
    ),
    Fault(
        "timeouts for a while, done",
        lambda: Unavailable("read timed out"),
        to_reads=False,
        done=True,
        times=A_WHILE,
    ),
)
FAULTS = {fault.name: fault for fault in _FAULTS}
KILLED, KILLED_FOR_LONG, OUTAGE = "killed", "killed for 90 s", "unreachable for 60 s"
DEAD_SECONDS = {KILLED: 0.0, KILLED_FOR_LONG: 90.0}
KINDS = (KILLED, KILLED_FOR_LONG, *FAULTS, OUTAGE)


@dataclass(frozen=True, slots=True)
class Point:
    """Where a story is disturbed, and how: ``number`` counts the calls of the undisturbed story."""

    kind: str
    number: int
    method: str
    effect: str
    before: bool = False

    def __str__(self) -> str:
        when = "before" if self.before else "at"
        what = f"{self.method} ({self.effect})" if self.effect else self.method
        return f"{self.kind} {when} call {self.number}, {what}"
