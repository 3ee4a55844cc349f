"""What the server tells Prometheus about itself.

Role: names, buckets and meaning of every series. It must not know HTTP routes or the model. Its
trade-off: one histogram for every answer, labelled by status code, instead of a second counter for
errors: latency and error share then come from the same scrape. Whoever reads a percentile must
select code 200, because a refusal that takes a millisecond would make an overloaded server look
fast.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# Every 10 ms around 0.2 s, where a promise is likely to stand; coarser elsewhere.
DURATION_BUCKETS = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.14),
    *(0.15, 0.16, 0.17, 0.18, 0.19, 0.2, 0.21, 0.22, 0.23, 0.24, 0.25),
    *(0.275, 0.3, 0.325, 0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.5, 0.525, 0.55, 0.575, 0.6),
    *(0.65, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
MODEL_BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024)
KNOWN_CODES = ("200", "400", "429", "500")


class Telemetry:
    """The server's metrics in a registry of their own, so that a process may hold several."""

    def __init__(self) -> None:
        """Create every series at zero: one that is born with its first error hides that error."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.duration = Histogram(
            "demo_request_duration_seconds",
            "From the intended send (X-Request-Start, else arrival) to the answer, by status code.",
            ["code"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        for code in KNOWN_CODES:
            self.duration.labels(code)
        self.in_flight = self._gauge("demo_requests_in_flight", "Prediction requests being served.")
        self._queue = self._gauge("demo_queue_length", "Rows that wait for the model.")
        self._batch_size = Histogram(
            "demo_batch_size", "Rows per model run.", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self._model_seconds = Histogram(
            "demo_model_run_seconds",
            "Wall clock of one model run.",
            buckets=MODEL_BUCKETS,
            registry=self.registry,
        )
        self.max_batch_size = self._gauge("demo_max_batch_size", "Batch cap in force.")
        self.batch_wait = self._gauge("demo_batch_wait_seconds", "Batch wait in force.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def queue_is(self, length: int) -> None:
        """Record how many rows wait."""
        self._queue.set(length)

    def batch_ran(self, size: int, seconds: float) -> None:
        """Record one model run."""
        self._batch_size.observe(size)
        self._model_seconds.observe(seconds)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)
