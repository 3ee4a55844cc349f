"""Typed `result` sections: what the load and benchmark probes say beyond findings.

Load side. It must not know how a trial is judged: there are no thresholds here, only what was
seen, with enough detail (blocks, batches, histogram, raw latencies) for the operator's core to
compute intervals. Trade-off: counts that must agree with each other are checked here, once, so
that no reader has to ask whether 200 blocks of 1,000 requests can hold 300 of them.

Percentile rule of the load probe: nearest rank (ceil(q * n)) over all requests *sent* in the
window. A request that failed in any way (timeout, refused connection, status other than 2xx)
ranks as slowest, at the request timeout; a percentile that falls among those is a lower bound
and says so in `censored`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infertune_probes.contract.benchmark_result import (
    ComparedFigure,  # noqa: TC001  # pydantic reads it
    DeviceClock,  # noqa: TC001  # pydantic reads it
    DeviceSpeed,  # noqa: TC001  # pydantic reads it
    Roofline,  # noqa: TC001  # pydantic reads it
    StreamRate,  # noqa: TC001  # pydantic reads it
)
from infertune_probes.contract.strict import StrictModel

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Percentile(StrictModel):
    """A percentile; `censored`: it fell among failures, the true value is at least this."""

    value_ms: NonNegative
    censored: bool


class Latency(StrictModel):
    """P50, P95 and P99 over all requests sent in the window, failures included."""

    p50: Percentile
    p95: Percentile
    p99: Percentile
    mean_completed_ms: NonNegative | None


class Block(StrictModel):
    """Consecutive requests in order of intended send time, and how many exceeded the SLO."""

    start_seconds: NonNegative
    requests: Annotated[int, Field(ge=1)]
    exceeded: Count

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Self:
        if self.exceeded > self.requests:
            msg = "more requests exceeded the SLO than the block holds"
            raise ValueError(msg)
        return self


class Batch(StrictModel):
    """One of up to 20 equal stretches of the window, with its own P95 (for batch means)."""

    requests: Annotated[int, Field(ge=1)]
    p95: Percentile


class Histogram(StrictModel):
    """Latencies of completed requests in 1 % wide buckets: [[bucket, count], ...], mergeable.

    Bucket i >= 1 holds (0.1 ms * 1.01^(i-1), 0.1 ms * 1.01^i]; bucket 0 all below 0.1 ms.
    `failed` counts requests without a latency. See `contract.histogram` for merging and quantiles.
    """

    buckets: tuple[tuple[Count, Count], ...]
    failed: Count


class Level(StrictModel):
    """What one offered rate did; a skipped level has a reason and no numbers."""

    offered_rate: Positive
    state: Literal["measured", "interrupted", "capped", "skipped"]
    reason: str | None
    window_seconds: NonNegative
    warmup_seconds: NonNegative
    warmup_requests: Count
    sent: Count
    sent_rate: NonNegative
    completed: Count
    achieved_rate: NonNegative
    exceeded: Count
    errors: dict[str, Annotated[int, Field(ge=1)]]
    latency: Latency | None
    histogram: Histogram
    latencies_tenth_ms: tuple[Annotated[int, Field(ge=-1)], ...] | None
    blocks: tuple[Block, ...]
    batches: tuple[Batch, ...]
    lateness_p50_ms: NonNegative | None
    lateness_p99_ms: NonNegative | None
    client_cpu_share: NonNegative | None
    mean_in_flight: NonNegative | None
    in_flight_at_start: Count
    in_flight_at_end: Count
    littles_ratio: NonNegative | None

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        failed = sum(self.errors.values())
        if self.completed + failed != self.sent:
            msg = f"completed {self.completed} + errors {failed} is not sent {self.sent}"
            raise ValueError(msg)
        if self.blocks and sum(block.requests for block in self.blocks) != self.sent:
            msg = "the blocks do not hold exactly the requests sent"
            raise ValueError(msg)
        if self.latency is None and self.sent:
            msg = "requests were sent, but there is no latency"
            raise ValueError(msg)
        if self.state != "measured" and not self.reason:
            msg = f"a level that is {self.state} needs a reason"
            raise ValueError(msg)
        return self


class GoldenCase(StrictModel):
    """One golden request; `deviation` is None when the answer had no comparable numbers."""

    name: str
    passed: bool
    deviation: NonNegative | None
    reason: str | None


class Quality(StrictModel):
    """How many golden answers were right, and how far off the worst number was."""

    passed: Count
    total: Annotated[int, Field(ge=1)]
    worst_deviation: NonNegative | None
    drop_percent: Annotated[float, Field(ge=0, le=100)]
    max_drop_percent: Annotated[float, Field(ge=0, le=100)]
    accepted: bool
    cases: tuple[GoldenCase, ...]


class Startup(StrictModel):
    """How long the server took to answer its readiness path, from the probe's first try."""

    url: str
    seconds: NonNegative
    attempts: Annotated[int, Field(ge=1)]
    ready: bool


class LoadResult(StrictModel):
    """The load probe's section: one run against one server."""

    kind: Literal["load"]
    url: str
    method: str
    payload_bytes: Count
    arrivals: Literal["constant", "poisson"]
    seed: int
    slo_ms: Positive
    timeout_ms: Positive
    block_requests: Annotated[int, Field(ge=1)]
    requests_per_connection: Count
    event_loop: Literal["uvloop", "asyncio"]
    startup: Startup | None
    quality: Quality | None
    levels: tuple[Level, ...]


# What probes of 0.1.0 called them.
_RENAMED = {"float32": "fp32", "bfloat16": "bf16"}


class MatmulPoint(StrictModel):
    """One matrix size: median and quartiles of one multiplication, and whether it had settled."""

    size: Annotated[int, Field(ge=1)]
    dtype: str
    repeats: Annotated[int, Field(ge=1)]
    median_seconds: Positive
    q1_seconds: Positive
    q3_seconds: Positive
    gflops: Positive
    settled: bool
    max_relative_error: NonNegative | None
    # Absent in what probes of 0.1.0 wrote.
    mean_seconds: Positive | None = None
    peak_share: Positive | None = None
    intensity_flops_per_byte: Positive | None = None


class BenchmarkResult(StrictModel):
    """The benchmark probe's section."""

    kind: Literal["benchmark"]
    device: str
    backend: Literal["numpy", "torch"]
    threads: Annotated[int, Field(ge=1)]
    seed: int
    matmul: tuple[MatmulPoint, ...]
    # Absent in what probes of 0.1.0 wrote.
    left_out: Annotated[tuple[str, ...], Field(max_length=1024)] = ()
    streams: Annotated[tuple[StreamRate, ...], Field(max_length=64)] = ()
    launch_microseconds: Positive | None = None
    cores_granted: NonNegative | None = None
    roofline: Roofline | None = None
    devices: Annotated[tuple[DeviceSpeed, ...], Field(max_length=64)] = ()
    clocks: Annotated[tuple[DeviceClock, ...], Field(max_length=64)] = ()
    clocks_reason: str | None = None
    compared: Annotated[tuple[ComparedFigure, ...], Field(max_length=16)] = ()

    @property
    def best_gflops(self) -> dict[str, float]:
        """The best rate of each number type, by the names of today (fp32, bf16, ...)."""
        best: dict[str, float] = {}
        for point in self.matmul:
            name = _RENAMED.get(point.dtype, point.dtype)
            best[name] = max(point.gflops, best.get(name, 0.0))
        return best

    @property
    def copy_gigabytes_per_second(self) -> float | None:
        """The rate of a copy within the device's own memory; None when it was not measured."""
        return next((s.gigabytes_per_second for s in self.streams if s.name == "copy"), None)
