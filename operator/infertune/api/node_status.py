"""The part of the status that speaks of nodes: what probes said, and what cannot run there.

Role: the models that the status holds of nodes. Must not know: how a node is probed. Trade-off:
only what a decision or a reader needs is kept; the whole of a probe's result is in its pod's log.
"""

from typing import Literal

from pydantic import Field

from infertune.api.fields import ShortText, StatusModel


class DriverFacts(StatusModel):
    """What decides which software runs on a node."""

    version: str = Field("", max_length=64, description="Version of the driver.")
    cuda: str | None = Field(None, max_length=64, description="Newest CUDA that it knows.")
    brand: str | None = Field(None, max_length=64, description="Brand of the GPUs, if it is one.")
    compute_capabilities: tuple[str, ...] = Field(
        (), max_length=16, description="Compute capabilities of the GPUs."
    )


class RejectedImage(StatusModel):
    """An image that was not tried, since it cannot run."""

    image: str = Field("", description="The image.")
    node: str = Field("", description="A node of the target that it cannot run on.")
    reason: ShortText = Field("", description="Why not.")
    fix: ShortText = Field("", description="What would let it run.")


class ProbeSummary(StatusModel):
    """What one probe said of one node."""

    probe: str = Field("", description="Name of the probe.")
    node: str = Field("", description="Node it ran on.")
    verdict: Literal["pass", "warn", "fail", "unknown"] = Field(
        "unknown", description="Worst finding."
    )
    code: str = Field("", max_length=64, description="Code of the gravest finding.")
    summary: ShortText = Field("", description="One sentence for people.")
    driver: DriverFacts | None = Field(
        None, description="Driver and GPUs, as the probe of versions read them."
    )
    bound: Literal["launch", "compute", "memory", "copy", "idle", "unknown"] | None = Field(
        None, description="What holds the model back, as the profiler reads it."
    )
    busy_percent: float | None = Field(
        None, description="Share of a call in which the device works or copies, by the profiler."
    )
    confidence: Literal["low", "medium", "high"] | None = Field(
        None, description="How sure the profiler is of it; low says nothing to the search."
    )
