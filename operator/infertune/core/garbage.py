"""What we made and nobody needs any more.

Role: from a list of our own objects and the tunings that live to deletions. Must not know: how they
are listed, when. Trade-off: Kubernetes collects what names a dead owner by itself; this is for what
lost its owner's name (a restored backup, a hand that edited), so it waits a while before it judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from infertune.core.plan import DeleteObject
from infertune.core.snapshot import JobRole, Key

YOUNG_SECONDS = 120.0
SUPERSEDED_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class OwnObject:
    """A Job or ConfigMap with our labels. ``tuning`` is the name that it carries itself."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    tuning: Key
    tuning_uid: str
    role: JobRole | None
    created_at: datetime
    finished: bool = False


def orphans(
    owned: Sequence[OwnObject], living: frozenset[str], now: datetime
) -> tuple[DeleteObject, ...]:
    """Return the deletions of objects whose tuning is gone; ``living`` are UIDs of tunings."""
    return tuple(
        _deleted(one)
        for one in owned
        if one.tuning_uid not in living and _age(one, now) > YOUNG_SECONDS
    )


def superseded(
    owned: Sequence[OwnObject], published: Mapping[str, str], now: datetime
) -> tuple[DeleteObject, ...]:
    """Return the deletions of ConfigMaps that hold an earlier recommendation.

    ``published`` is the name of today's, by the tuning's UID; a tuning that has none keeps all.
    """
    return tuple(
        _deleted(one)
        for one in owned
        if one.kind == "ConfigMap"
        and published.get(one.tuning_uid, one.name) != one.name
        and _age(one, now) > SUPERSEDED_SECONDS
    )


def _deleted(one: OwnObject) -> DeleteObject:
    return DeleteObject(one.api_version, one.kind, one.namespace, one.name, one.uid)


def _age(one: OwnObject, now: datetime) -> float:
    return (now - one.created_at).total_seconds()
