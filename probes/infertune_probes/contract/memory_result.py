"""Typed `result` section of the memory probe: peaks by batch, and where memory runs out.

Load side. It must not know which batch is wanted; the operator's core decides. Trade-off: every
step is kept, at most 64, because the shape of the curve tells more than its end.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infertune_probes.contract.strict import StrictModel

Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]


class MemoryStep(StrictModel):
    """One batch in a process of its own; bytes are peaks, None is not known."""

    batch: Annotated[int, Field(ge=1)]
    outcome: Literal["fits", "out", "failed"]
    peak_bytes: Count | None
    allocated_bytes: Count | None
    reserved_bytes: Count | None
    largest_free_bytes: Count | None
    allocation_retries: Count | None
    fragmentation: Annotated[float, Field(ge=0, le=1)] | None
    call_ms: NonNegative | None
    reason: Annotated[str, Field(max_length=1024)] | None


class AllocatorVariant(StrictModel):
    """Mixed batches under one setting of the allocator; `setting` None: its default."""

    name: Annotated[str, Field(max_length=64)]
    setting: Annotated[str, Field(max_length=128)] | None
    step: MemoryStep


class MemoryResult(StrictModel):
    """Result of the memory probe; `largest_serving` is the largest batch tried below 85 %."""

    kind: Literal["memory"]
    device: Literal["cpu", "cuda"]
    device_name: Annotated[str, Field(max_length=256)]
    torch: Annotated[str, Field(max_length=64)] | None
    total_bytes: Count
    total_source: Annotated[str, Field(max_length=128)]
    serving_share: Annotated[float, Field(gt=0, le=1)]
    largest_fitting: Count
    smallest_failing: Annotated[int, Field(ge=1)] | None
    largest_serving: Count
    predicted_serving: Count | None
    steps: Annotated[tuple[MemoryStep, ...], Field(max_length=64)]
    variants: Annotated[tuple[AllocatorVariant, ...], Field(max_length=8)]
