"""What the API server's refusals mean to us.

Role: an HTTP answer becomes one of the port's errors; the type says who acts. Must not know: which
call was made, what follows. Trade-off: RBAC, quota and admission all answer 403 without a machine
readable cause, so RBAC is told by the fixed form of its message.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from infertune.ports import (
    AlreadyExists,
    ClusterError,
    Conflict,
    FieldTaken,
    Forbidden,
    Gone,
    Refused,
    Unavailable,
)

_RBAC = re.compile(r"cannot \w+ (resource|path) ")
_MANAGER = re.compile(r'conflict with "([^"]+)"')
_SHOWN = 1024


class NotServed(Unavailable):
    """The server does not know this kind, or not yet: that says nothing about any object of it.

    A CRD that is installed anew answers like this for a moment; taking it for "your tuning is gone"
    would give every target back.
    """


def error_of(status: int, body: str) -> ClusterError:
    """Return the error that an answer outside 2xx stands for.

    A body that is no Status object (a proxy's page, say) still gives a typed error by its code.
    """
    answer = _status_object(body)
    message = str(answer.get("message") or body or f"HTTP {status}")[:_SHOWN]
    if status == 409:  # noqa: PLR2004
        return _conflict(answer, message)
    if status == 403:  # noqa: PLR2004
        return _forbidden(answer, message)
    if status == 401:  # noqa: PLR2004
        return Forbidden(f"the API server does not accept our credentials: {message}")
    if status in {404, 410}:
        return _gone(status, answer, message)
    if status in {400, 405, 406, 413, 415, 422}:
        return Refused(message)
    return Unavailable(f"HTTP {status}: {message}")


def _conflict(answer: Mapping[str, Any], message: str) -> ClusterError:
    for cause in _causes(answer):
        if cause.get("reason") == "FieldManagerConflict":
            manager = _MANAGER.search(str(cause.get("message", "")))
            owner = manager.group(1) if manager else "unknown"
            return FieldTaken(str(cause.get("field", "")).removeprefix("."), owner, message)
    if answer.get("reason") == "AlreadyExists":
        return AlreadyExists(message)
    return Conflict(message)


def _forbidden(answer: Mapping[str, Any], message: str) -> ClusterError:
    if any(cause.get("reason") == "NamespaceTerminating" for cause in _causes(answer)):
        return Gone(message)
    return Forbidden(message) if _RBAC.search(message) else Refused(message)


def _gone(status: int, answer: Mapping[str, Any], message: str) -> ClusterError:
    details = answer.get("details")
    names_an_object = isinstance(details, Mapping) and bool(details.get("name"))
    if names_an_object or status == 410:  # noqa: PLR2004
        return Gone(message)
    return NotServed(f"HTTP 404: {message}")


def _causes(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    return [cause for cause in causes or () if isinstance(cause, Mapping)]


def _status_object(body: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}
