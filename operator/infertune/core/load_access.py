"""Was the load of a trial let in? Missing Secrets, wrong credentials, and limits of a client.

Role: tell a server that turns our requests away from one that fails them, so that no candidate is
blamed for a header. Must not know: Jobs, what the search tries next. Trade-off: 429 is what an
overloaded server answers as well, so among the requests of a load it voids a trial only where
nothing else was answered; golden requests are few and without load, so there one is enough.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from infertune.api.annotations import RETRY
from infertune.api.fields import fraction_of_percent
from infertune.api.spec import TuningSpec
from infertune.core.snapshot import JobView, ProbeFailure
from infertune.core.trial_result import Ending
from infertune_probes.contract.load import Envelope
from infertune_probes.contract.load_result import LoadResult

LoadAccessWord = Literal[
    "LoadSecretMissing", "LoadHeaderUnusable", "LoadUnauthorized", "LoadRateLimited"
]
LOAD_ACCESS_WORDS: frozenset[str] = frozenset(get_args(LoadAccessWord))
# A Secret that is created together with the tuning may reach the kubelet a moment later.
SECRET_GRACE_SECONDS = 15.0
_UNUSABLE = "HEADER_UNUSABLE"
_TURNED_AWAY = ("status_401", "status_403", "status_407")
_LIMITED = "status_429"
_THEN = f"then set the annotation {RETRY} to a new value"


def secret_missing(load: JobView, spec: TuningSpec, waited_seconds: float) -> Ending | None:
    """Return that the load cannot start for want of a Secret that its headers come from."""
    named = [f"{header.secret}/{header.key}" for header in spec.load.headers_from]
    waits = load.failure_reason == "CreateContainerConfigError"
    if not named or not waits or waited_seconds < SECRET_GRACE_SECONDS:
        return None
    words = (
        f"{load.failure_message}; spec.load.headersFrom needs {', '.join(named)} (Secret/key) in "
        f"this namespace: create what is missing or correct the name, {_THEN}"
    )
    return _void("LoadSecretMissing", words)


def turned_away(result: Envelope | ProbeFailure, spec: TuningSpec) -> Ending | None:
    """Return that the server did not let the load in, or None where its answers speak for it."""
    if not isinstance(result, Envelope):
        return None
    unusable = next((f.evidence for f in result.findings if f.code == _UNUSABLE), None)
    if unusable is not None:
        words = f"{unusable}: correct the Secret that spec.load.headersFrom names, {_THEN}"
        return _void("LoadHeaderUnusable", words)
    if result.load is None:
        return None
    return _of_golden(result.load, spec) or _of_levels(result.load, spec)


def _of_golden(load: LoadResult, spec: TuningSpec) -> Ending | None:
    """Golden requests come first; one that was not let in says nothing about the answers."""
    cases = load.quality.cases if load.quality is not None else ()
    kind = next((c.reason for c in cases if c.reason in (*_TURNED_AWAY, _LIMITED)), None)
    if kind is None or (load.quality is not None and load.quality.accepted):
        return None
    count = sum(1 for case in cases if case.reason == kind)
    return _told(kind, f"{count} of {len(cases)} golden requests", spec)


def _of_levels(load: LoadResult, spec: TuningSpec) -> Ending | None:
    sent = sum(level.sent for level in load.levels)
    errors: dict[str, int] = {}
    for level in load.levels:
        for kind, count in level.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    kind = max(_TURNED_AWAY, key=lambda one: errors.get(one, 0))
    if _share(errors, _TURNED_AWAY, sent) > fraction_of_percent(spec.slo.max_error_percent):
        return _told(kind, f"{errors[kind]} of {sent} requests", spec)
    if sent and errors.get(_LIMITED, 0) == sent:
        return _told(_LIMITED, f"all {sent} requests", spec)
    return None


def _share(errors: Mapping[str, int], kinds: tuple[str, ...], sent: int) -> float:
    return sum(errors.get(kind, 0) for kind in kinds) / sent if sent else 0.0


def _told(kind: str, what: str, spec: TuningSpec) -> Ending:
    code = kind.removeprefix("status_")
    answered = f"the server answered {code} to {what}"
    names = ", ".join(f"{h.name} from {h.secret}/{h.key}" for h in spec.load.headers_from)
    if kind == _LIMITED:
        words = f"{answered}: lift its limit for this client, or give the load another key by "
        return _void("LoadRateLimited", f"{words}spec.load.headersFrom, {_THEN}")
    if names:
        return _void("LoadUnauthorized", f"{answered}: correct the header {names}, {_THEN}")
    return _void(
        "LoadUnauthorized",
        f"{answered}: name the Secret with its credential in spec.load.headersFrom",
    )


def _void(word: LoadAccessWord, words: str) -> Ending:
    return Ending("Invalid", word, words)
