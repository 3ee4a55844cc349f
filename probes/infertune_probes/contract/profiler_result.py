"""Typed `result` section of the profiler probe: what holds an inference call back.

Load side. It must not know what follows from a reading; the operator's core decides. Trade-off:
`bound` is one word for the search, and all shares stand beside it for people.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infertune_probes.contract.strict import StrictModel

Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
# Sums of parts may exceed the whole by rounding alone.
Share = Annotated[float, Field(ge=0, le=1.000001)]
Bound = Literal["launch", "compute", "memory", "copy", "idle", "unknown"]
Name = Annotated[str, Field(max_length=512)]


class Shares(StrictModel):
    """Parts of the window, together 1: work on the device, copies alone, the host late, no work."""

    work: Share
    copied: Annotated[Share, Field(alias="copy")]
    launch: Share
    waiting: Share


class Synchronisation(StrictModel):
    """One kind of call that makes the host wait for the device."""

    name: Name
    count: Count
    total_us: NonNegative


class ProfileRow(StrictModel):
    """One row of a ranking; the share is of the ranked figure."""

    name: Name
    count: Count
    device_us: NonNegative
    cpu_us: NonNegative
    bytes: Count
    share: Share


class ProfileTable(StrictModel):
    """Up to twenty rows; `reason` says why a table is empty."""

    name: Literal["kernels", "operators", "memory", "modules", "stacks"]
    ranked_by: Literal["deviceTime", "cpuTime", "size"]
    rows: Annotated[tuple[ProfileRow, ...], Field(max_length=20)]
    left_out: Count
    reason: Name | None


class ProfilerVariant(StrictModel):
    """One change of the call, timed on the user's model; without a median the note says why.

    `difference` is the largest one of the answers, as a share of the largest value.
    """

    name: Annotated[str, Field(max_length=64)]
    calls: Count
    median_ms: NonNegative | None
    baseline_ms: NonNegative | None
    difference: NonNegative | None
    note: Annotated[str, Field(max_length=512)] | None


class ProfilerResult(StrictModel):
    """Result of the profiler probe. Shares are in [0, 1]; None is not known.

    `memory_timeline` holds (ms since the first event, allocated bytes, reserved bytes).
    """

    kind: Literal["profiler"]
    mode: Literal["basic", "detailed", "memory"]
    source: Name
    device: Name | None
    torch: Annotated[str, Field(max_length=64)] | None
    warmup_calls: Count | None
    active_calls: Count | None
    calls: Count
    window_ms: NonNegative
    on_device: bool
    bound: Bound
    confidence: Literal["low", "medium", "high"]
    why: Annotated[str, Field(max_length=2048)]
    shares: Shares | None
    kinds: Annotated[dict[str, Share], Field(max_length=32)]
    precisions: Annotated[dict[str, Share], Field(max_length=32)]
    parameter_types: Annotated[dict[str, Count], Field(max_length=32)]
    autograd: Literal["off", "on", "recording", "unknown"]
    data_wait_share: Share | None
    kernel_median_us: NonNegative | None
    launches_per_call: NonNegative | None
    flops_per_call: NonNegative | None
    synchronisations: Annotated[tuple[Synchronisation, ...], Field(max_length=20)]
    peak_allocated_bytes: Count | None
    peak_reserved_bytes: Count | None
    memory_timeline: Annotated[tuple[tuple[NonNegative, Count, Count], ...], Field(max_length=200)]
    variants: Annotated[tuple[ProfilerVariant, ...], Field(max_length=8)] = ()
    tables: Annotated[tuple[ProfileTable, ...], Field(max_length=8)]

    @property
    def busy_share(self) -> float | None:
        """The share of the window in which the device computes or copies; None: not known."""
        return None if self.shares is None else min(1.0, self.shares.work + self.shares.copied)
