"""Typed `result` section of the versions probe.

Load side. It must not judge: the rules are in `compatibility`. Trade-off: versions stay text, as
their witnesses wrote them; whoever compares parses.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infertune_probes.contract.strict import StrictModel

Short = Annotated[str, StringConstraints(max_length=512)]
Long = Annotated[str, StringConstraints(max_length=4096)]
Index = Annotated[int, Field(ge=0)]
Many = Field(max_length=64)


class Told(StrictModel):
    """One version by one witness, or None and the reason."""

    name: Short
    version: Short | None
    reason: Long | None


class VersionsDevice(StrictModel):
    """What of a device decides about software: brand as NVML has it, compute capability."""

    index: Index
    uuid: Short | None
    name: Short | None
    brand: Short | None
    compute_capability: Short | None


class TorchBuild(StrictModel):
    """How torch is built, and what it loads; None: this build does not tell."""

    version: Short
    git: Short | None
    cuda: Short | None
    hip: Short | None
    architectures: Annotated[tuple[Short, ...], Many]
    cudnn_compiled: Short | None
    cudnn_loaded: Short | None
    nccl: Short | None
    python: Short


class Launch(StrictModel):
    """What became of the kernels on one device; `seconds` with context and library start."""

    device: Index
    ok: bool
    seconds: Annotated[float, Field(ge=0)] | None
    reason: Long | None


class Compatibility(StrictModel):
    """Whether the software runs on the driver, and how."""

    kind: Literal["native", "minor-version", "forward", "cpu", "none", "unknown"]
    reason: Long
    fix: Long


class VersionsResult(StrictModel):
    """The versions probe's section. `launches` None: nobody asked for any."""

    kind: Literal["versions"]
    driver_version: Short | None
    cuda_driver_version: Short | None
    driver_sources: Annotated[tuple[Told, ...], Many]
    devices: Annotated[tuple[VersionsDevice, ...], Many]
    libraries: Annotated[tuple[Told, ...], Many]
    torch: TorchBuild | None
    torch_reason: Long | None
    hints: Annotated[dict[Short, Long], Many]
    compatibility: Compatibility
    launches: Annotated[tuple[Launch, ...], Many] | None
