"""The system probe's section of the envelope.

Load side: pydantic, strict. It must not know how a figure came about. Trade-off: every list has
a bound, because a foreign pod writes it; the probe keeps well below them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infertune_probes.contract.strict import StrictModel

Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100.001)]
Word = Annotated[str, StringConstraints(max_length=4096)]
Bytes = Count | None


class SystemDisk(StrictModel):
    """One block device over the window; `await_ms` None: no request ended in it."""

    name: Word
    reads_per_second: Rate
    writes_per_second: Rate
    read_bytes_per_second: Rate
    written_bytes_per_second: Rate
    await_ms: float | None
    busy_percent: float
    operations: Count


class SystemInterface(StrictModel):
    """One network interface over the window."""

    name: Word
    rx_bytes_per_second: Rate
    tx_bytes_per_second: Rate
    rx_packets: int
    tx_packets: int
    dropped: int
    errors: int


class SystemGroup(StrictModel):
    """The control group of the process; a limit of None is no limit that could be seen."""

    version: Literal[1, 2] | None
    path: Word
    cpu_limit: float | None
    cpu_limited_by: Word | None
    memory_limit_bytes: Bytes
    memory_used_bytes: Bytes
    memory_reclaimable_bytes: Bytes
    oom_kills: Count | None
    pids: Count | None
    pids_limit: Count | None
    cpuset: Word | None


class SystemThrottled(StrictModel):
    """One group with a quota that ran in the window."""

    path: Word
    periods: Annotated[int, Field(ge=1)]
    throttled: int
    throttled_seconds: float
    quota_cores: float | None
    member: Word | None


class SystemProcess(StrictModel):
    """One process; `io_bytes_per_second` None: hidden from the probe."""

    pid: Count
    name: Word
    cpu_percent: float
    resident_bytes: int
    major_faults: int
    io_bytes_per_second: float | None
    threads: Count


class SystemTops(StrictModel):
    """The processes that use most."""

    by_cpu: Annotated[tuple[SystemProcess, ...], Field(max_length=64)]
    by_memory: Annotated[tuple[SystemProcess, ...], Field(max_length=64)]
    by_io: Annotated[tuple[SystemProcess, ...], Field(max_length=64)]


class SystemNamespace(StrictModel):
    """One network namespace, named by one process in it."""

    pid: Count
    name: Word
    rx_bytes_per_second: Rate
    tx_bytes_per_second: Rate


class SystemNumaNode(StrictModel):
    """One NUMA node; processors as a kernel list ("0-15")."""

    node: Count
    cpus: Word
    memory_bytes: Bytes
    free_bytes: Bytes


class SystemGpu(StrictModel):
    """Where a GPU of the PCI bus stands; None: the firmware does not say."""

    pci_bus_id: Word
    node: Count | None
    cpus: Word | None


class SystemFacts(StrictModel):
    """What does not change within a window; None is not known or not there."""

    kernel: Word | None
    virtual: bool | None
    container_runtime: Word | None
    numa_nodes: Annotated[tuple[SystemNumaNode, ...], Field(max_length=1024)]
    gpus: Annotated[tuple[SystemGpu, ...], Field(max_length=64)]
    cpus_allowed: Word | None
    governor: Word | None
    frequency_driver: Word | None
    frequency_khz: Count | None
    highest_frequency_khz: Count | None
    clock_source: Word | None
    transparent_huge_pages: Word | None
    swappiness: Count | None
    numa_balancing: Count | None
    shared_memory_bytes: Bytes
    soft_limits: Annotated[dict[Word, int | None], Field(max_length=64)]
    hard_limits: Annotated[dict[Word, int | None], Field(max_length=64)]


class SystemSuggestion(StrictModel):
    """What to do about a finding, why, and what it may break."""

    code: Word
    command: Word
    reason: Word
    risk: Word


class SystemResult(StrictModel):
    """The system probe's section: one window and the facts around it."""

    kind: Literal["system"]
    window_seconds: Annotated[float, Field(gt=0)]
    ticks: Count
    process: Word
    sees_all_processes: bool | None
    cores_busy_percent: Annotated[dict[Word, Percent], Field(max_length=1024)]
    disks: Annotated[tuple[SystemDisk, ...], Field(max_length=64)]
    interfaces: Annotated[tuple[SystemInterface, ...], Field(max_length=64)]
    group: SystemGroup
    throttled: Annotated[tuple[SystemThrottled, ...], Field(max_length=64)]
    processes: SystemTops
    namespaces: Annotated[tuple[SystemNamespace, ...], Field(max_length=64)]
    facts: SystemFacts
    suggestions: Annotated[tuple[SystemSuggestion, ...], Field(max_length=128)]
