"""The operator's own metrics and its log.

Role: Prometheus metrics of the runtime, and log records as JSON lines. Must not know: decisions.
Trade-off: figures that are cheap to read when scraped (depth, ages) are callbacks, so an idle
operator spends nothing on them.
"""

import json
import logging
import time
from collections import Counter as Tally
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import get_args

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from infertune.api.status import StateName
from infertune.core.snapshot import Key

_STATES: tuple[StateName, ...] = get_args(StateName)
_TICK_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class RuntimeMetrics:
    """Counts what the runtime does."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._states: dict[Key, StateName] = {}
        self._lock = Lock()
        self._ticks = Counter(
            "infertune_reconciles", "Ticks, by how they ended.", ["outcome"], registry=registry
        )
        self._seconds = Histogram(
            "infertune_reconcile_seconds",
            "How long ticks take.",
            buckets=_TICK_SECONDS,
            registry=registry,
        )
        self._effects = Counter(
            "infertune_effects",
            "Effects tried, by kind and how they ended.",
            ["effect", "outcome"],
            registry=registry,
        )
        self._requests = Counter(
            "infertune_api_requests",
            "Requests to the API server, by method and status code; watches are not in it.",
            ["method", "answer"],
            registry=registry,
        )
        self._queries = Counter(
            "infertune_prometheus_queries",
            "Queries to Prometheus: ok, or why the result could not be used.",
            ["answer"],
            registry=registry,
        )
        self._tunings = Gauge(
            "infertune_tunings", "Tunings, by state.", ["state"], registry=registry
        )
        for state in _STATES:
            self._tunings.labels(state).set(0)

    def watch_figure(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Expose a figure that is read when somebody asks."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def ticked(self, outcome: str, seconds: float) -> None:
        """Count one tick."""
        self._ticks.labels(outcome).inc()
        self._seconds.observe(seconds)

    def executed(self, effect: str, outcome: str) -> None:
        """Count one effect."""
        self._effects.labels(effect, outcome).inc()

    def asked_cluster(self, method: str, answer: str) -> None:
        """Count one request to the API server."""
        self._requests.labels(method, answer).inc()

    def asked_prometheus(self, answer: str) -> None:
        """Count one query to Prometheus."""
        self._queries.labels(answer).inc()

    def state_is(self, key: Key, state: StateName | None) -> None:
        """Note the state of a tuning; None when it is gone."""
        with self._lock:
            if self._states.get(key) == state:
                return
            if state is None:
                self._states.pop(key, None)
            else:
                self._states[key] = state
            tally = Tally(self._states.values())
            for name in _STATES:
                self._tunings.labels(name).set(tally[name])


class JsonLines(logging.Formatter):
    """One JSON object per record; what was given as ``extra`` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in record.__dict__.items() if k not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Send every log record of the process to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # kopf reports every event handled; that is our log's heartbeat times a hundred.
    for name in ("kopf.objects", "urllib3", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def seconds_since(read: Callable[[], float]) -> Callable[[], float]:
    """Return how long ago a wall-clock time was; NaN before it first happened."""
    return lambda: time.time() - read() if read() > 0 else float("nan")
