"""Doorbells: kopf watches, we ring. No decision, no write, no finalizer, no annotation.

Role: register event handlers and settings with kopf. Must not know: clusters, ticks. Trade-off:
only ``on.event`` handlers are used, since every other kind makes kopf write to the objects.
"""

import itertools
from collections.abc import Iterator
from typing import Protocol

import kopf

from infertune.api.v1alpha1 import GROUP, PLURAL, VERSION
from infertune.core.manifests.naming import LABEL_TUNING_UID
from infertune.core.snapshot import RawObject

SERVER_TIMEOUT_SECONDS = 300
CLIENT_TIMEOUT_SECONDS = 310
CONNECT_TIMEOUT_SECONDS = 30


class Bell(Protocol):
    """What handlers ring."""

    def tuning(self, kind_of_event: str | None, raw: RawObject) -> None:
        """A tuning changed."""
        ...

    def workload(self, kind_of_event: str | None, kind: str, raw: RawObject) -> None:
        """A Deployment or StatefulSet changed."""
        ...

    def autoscaler(self, kind_of_event: str | None, raw: RawObject) -> None:
        """A HorizontalPodAutoscaler changed."""
        ...

    def owned(self, raw: RawObject) -> None:
        """A Job or pod of ours changed."""
        ...


class Patience:
    """Delays between tries that never end, anew for each request."""

    def __iter__(self) -> Iterator[float]:
        """Return the delays, in seconds."""
        return itertools.chain((1.0, 1.0, 2.0, 3.0, 5.0), itertools.repeat(8.0))


def kopf_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: bounded watches, filtered by the server, no posting."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = SERVER_TIMEOUT_SECONDS
    settings.watching.client_timeout = CLIENT_TIMEOUT_SECONDS
    settings.watching.connect_timeout = CONNECT_TIMEOUT_SECONDS
    # Foreign Jobs and pods never leave the API server.
    settings.watching.label_selectors["batch", "jobs"] = LABEL_TUNING_UID
    settings.watching.label_selectors["", "pods"] = LABEL_TUNING_UID
    # kopf ends the process when its last retry fails; an API server may be away for longer.
    settings.networking.error_backoffs = Patience()
    settings.networking.enforce_retry_after = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = 1.0
    return settings


def register(registry: kopf.OperatorRegistry, bell: Bell) -> None:
    """Register one handler for each kind that is watched."""

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_tuning(event: kopf.RawEvent, **_: object) -> None:
        bell.tuning(event["type"], event["object"])

    @kopf.on.event("apps", "v1", "deployments", registry=registry)
    async def on_deployment(event: kopf.RawEvent, **_: object) -> None:
        bell.workload(event["type"], "Deployment", event["object"])

    @kopf.on.event("apps", "v1", "statefulsets", registry=registry)
    async def on_stateful_set(event: kopf.RawEvent, **_: object) -> None:
        bell.workload(event["type"], "StatefulSet", event["object"])

    @kopf.on.event("autoscaling", "v2", "horizontalpodautoscalers", registry=registry)
    async def on_autoscaler(event: kopf.RawEvent, **_: object) -> None:
        bell.autoscaler(event["type"], event["object"])

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def on_job(event: kopf.RawEvent, **_: object) -> None:
        bell.owned(event["object"])

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def on_pod(event: kopf.RawEvent, **_: object) -> None:
        bell.owned(event["object"])
