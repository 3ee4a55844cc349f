"""The sections that the benchmark adds to its own: devices, streams, comparison, overhead.

Load side: pydantic, strict. It must not know how a figure came about. Trade-off: lists have
bounds, because a foreign pod writes them; the probe keeps well below.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infertune_probes.contract.strict import StrictModel

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Word = Annotated[str, StringConstraints(max_length=1024)]


class StreamRate(StrictModel):
    """One way to move bytes, in GB/s (10^9): median and quartiles."""

    name: Word
    gigabytes_per_second: Positive
    q1_gigabytes_per_second: Positive
    q3_gigabytes_per_second: Positive
    repeats: Annotated[int, Field(ge=1)]


class Roofline(StrictModel):
    """The measured roof: best rate, copy bandwidth, and the ridge between them."""

    dtype: Word
    gflops: Positive
    gigabytes_per_second: Positive
    ridge_flops_per_byte: Positive


class DeviceSpeed(StrictModel):
    """One GPU of a node in the same product and copy as its neighbours."""

    index: Annotated[int, Field(ge=0)]
    device: Word
    size: Annotated[int, Field(ge=1)]
    dtype: Word
    gflops: Positive
    copy_gigabytes_per_second: Positive | None
    settled: bool


class DeviceClock(StrictModel):
    """What the driver told of one GPU under the benchmark; None: it does not tell."""

    index: Annotated[int, Field(ge=0)]
    clock_mhz: NonNegative | None
    power_watts: NonNegative | None
    temperature_celsius: float | None
    event_reasons: int | None
    readings: Annotated[int, Field(ge=0)]
    limit_watts: NonNegative | None = None
    default_limit_watts: NonNegative | None = None


class ComparedMember(StrictModel):
    """One device or node in a comparison."""

    where: Word
    value: Positive
    straggler: bool


class ComparedFigure(StrictModel):
    """One figure over all members of a kind; `mad` None: too few members for one."""

    device: Word
    figure: Word
    unit: Word
    median: Positive
    mad: NonNegative | None
    bound: float
    balance: Annotated[float, Field(gt=0, le=1)]
    members: Annotated[tuple[ComparedMember, ...], Field(max_length=4096)]


class BenchmarkComparison(StrictModel):
    """Benchmarks of many devices and nodes, side by side."""

    kind: Literal["benchmark-comparison"]
    figures: Annotated[tuple[ComparedFigure, ...], Field(max_length=256)]


class StartUpPhases(StrictModel):
    """Seconds of each phase until the first answer; None: not known."""

    pull: NonNegative | None
    start: NonNegative | None
    load: NonNegative | None
    first_answer: NonNegative | None


class BenchmarkOverhead(StrictModel):
    """What a container's limit costs; rates are products a second, free and limited in turn."""

    kind: Literal["benchmark-overhead"]
    method: Literal["paired", "throttledTime"] | None
    limit_cores: Positive | None
    threads: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=1)]
    lost_percent: float | None
    throttled_share: Annotated[float, Field(ge=0, le=1)] | None
    free_rates: Annotated[tuple[Positive, ...], Field(max_length=256)]
    limited_rates: Annotated[tuple[Positive, ...], Field(max_length=256)]
    start_up: StartUpPhases | None
    image_bytes: Annotated[int, Field(ge=0)] | None
