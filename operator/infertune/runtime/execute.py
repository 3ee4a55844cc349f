"""Carry out effects, in order.

Role: one effect to one call of the cluster port. Must not know: why. Trade-off: no rollback of the
effects before a failed one; each is safe to repeat, and the next tick derives them again.
"""

import logging
from typing import assert_never

from infertune.core.plan import (
    ApplyFields,
    CreateObject,
    DeleteObject,
    Effect,
    ReleaseFields,
    ScaleWorkload,
    SetFinalizer,
)
from infertune.core.snapshot import Key, TuningView
from infertune.ports import Cluster, ClusterError
from infertune.runtime.telling import Telemetry

Write = ApplyFields | ReleaseFields | ScaleWorkload
_log = logging.getLogger(__name__)


class Executor:
    """Carries out the effects of one plan."""

    def __init__(self, cluster: Cluster, telemetry: Telemetry) -> None:
        self._cluster = cluster
        self._telemetry = telemetry

    def execute(self, effect: Effect, tuning: TuningView, version: str) -> str:
        """Carry out one effect; return the tuning's resource version afterwards.

        Raises:
            ClusterError: the effect did not happen, or nobody knows.
        """
        kind = type(effect).__name__
        try:
            version = self._call(effect, tuning, version)
        except ClusterError as error:
            self._telemetry.executed(kind, type(error).__name__)
            raise
        self._telemetry.executed(kind, "ok")
        _log.info(
            "effect executed",
            extra={"tuning": str(tuning.key), "effect": kind, "object": describe(effect)},
        )
        return version

    def clear_up(self, effect: Write, key: Key) -> None:
        """Carry out a write after a tuning that is gone.

        Raises:
            ClusterError: it did not happen, or nobody knows.
        """
        kind = type(effect).__name__
        try:
            self._write(effect)
        except ClusterError as error:
            self._telemetry.executed(kind, type(error).__name__)
            raise
        self._telemetry.executed(kind, "ok")
        _log.info(
            "cleared up",
            extra={"tuning": str(key), "effect": kind, "object": describe(effect)},
        )

    def _call(self, effect: Effect, tuning: TuningView, version: str) -> str:
        match effect:
            case CreateObject(manifest):
                self._cluster.create_object(manifest)
            case DeleteObject():
                self._cluster.delete_object(effect)
            case ApplyFields() | ReleaseFields() | ScaleWorkload():
                self._write(effect)
            case SetFinalizer(present):
                return self._cluster.set_finalizer(tuning.key, version, present=present)
            case _:
                assert_never(effect)
        return version

    def _write(self, effect: Write) -> None:
        match effect:
            case ApplyFields():
                self._cluster.apply_fields(effect)
            case ReleaseFields():
                self._cluster.release_fields(effect)
            case ScaleWorkload():
                self._cluster.scale_workload(effect)
            case _:
                assert_never(effect)


def describe(effect: Effect) -> str:
    """Return which object an effect is about, for the log."""
    match effect:
        case CreateObject(raw) | ApplyFields(raw, _, _):
            return f"{raw['kind']}/{raw['metadata']['name']}"
        case DeleteObject() | ReleaseFields() | ScaleWorkload():
            return f"{effect.kind}/{effect.name}"
        case SetFinalizer(present):
            return "finalizer" if present else "no finalizer"
        case _:
            assert_never(effect)
