"""The gpu probe's `result` section: what was seen of every device, and what a window showed.

Load side. It must not know how a device is judged. None, and a field that is absent, mean `not
known`, never zero. Every field that was added after the first release has a default, so the
envelopes of every release stay loadable. Trade-off: a group (`ecc`, `pcie`) is absent as a whole
when none of its fields could be read; the reasons stand in `unread`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infertune_probes.contract.strict import StrictModel

Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Text = Annotated[str, Field(max_length=512)]
Name = Annotated[str, Field(max_length=80)]

_MOST_DEVICES = 64
_MOST_LINKS = 36
_MOST_INSTANCES = 16
_MOST_PROCESSES = 100
_MOST_EVENTS = 200
_MOST_POINTS = 300


class GpuThermal(StrictModel):
    """Limits of temperature, and how far away they are."""

    slowdown_celsius: int | None = None
    shutdown_celsius: int | None = None
    max_operating_celsius: int | None = None
    margin_celsius: int | None = None
    memory_celsius: int | None = None


class GpuPower(StrictModel):
    """Limits of power beside the enforced one."""

    default_limit_watts: NonNegative | None = None
    min_limit_watts: NonNegative | None = None
    max_limit_watts: NonNegative | None = None


class GpuEcc(StrictModel):
    """Memory errors: corrected since the driver was loaded, and both kinds in the device's life."""

    corrected: Count | None = None
    aggregate_corrected: Count | None = None
    aggregate_uncorrected: Count | None = None
    enabled: bool | None = None
    enabled_after_reset: bool | None = None


class GpuRows(StrictModel):
    """Rows of memory that spare ones replaced (Ampere and later)."""

    remapped_correctable: Count | None = None
    remapped_uncorrectable: Count | None = None
    pending: bool | None = None
    failure: bool | None = None


class GpuPages(StrictModel):
    """Pages of memory that were retired (before Ampere)."""

    retired_single_bit: Count | None = None
    retired_double_bit: Count | None = None
    pending: bool | None = None


class GpuViolations(StrictModel):
    """For how long, since the driver was loaded, something held the clocks back."""

    power_nanoseconds: Count | None = None
    thermal_nanoseconds: Count | None = None
    reliability_nanoseconds: Count | None = None
    board_limit_nanoseconds: Count | None = None


class GpuPcie(StrictModel):
    """The PCI Express link; `max` is what device and slot can do, `device_max` the device alone."""

    generation: Count | None = None
    max_generation: Count | None = None
    device_max_generation: Count | None = None
    width: Count | None = None
    max_width: Count | None = None
    replays: Count | None = None


class GpuClocks(StrictModel):
    """Clocks now, at most, and as set for applications."""

    graphics_megahertz: Count | None = None
    sm_megahertz: Count | None = None
    memory_megahertz: Count | None = None
    max_sm_megahertz: Count | None = None
    max_memory_megahertz: Count | None = None
    application_graphics_megahertz: Count | None = None
    application_memory_megahertz: Count | None = None
    default_application_graphics_megahertz: Count | None = None


class GpuInstance(StrictModel):
    """One MIG instance."""

    index: Count
    uuid: Name | None
    name: Name | None
    gpu_instance: int | None
    compute_instance: int | None
    memory_total_bytes: Count | None
    memory_used_bytes: Count | None


class GpuMig(StrictModel):
    """Whether the device is divided, and into what."""

    enabled: bool | None = None
    enabled_after_reset: bool | None = None
    instances: Annotated[tuple[GpuInstance, ...], Field(max_length=_MOST_INSTANCES)] | None = None


class GpuLink(StrictModel):
    """One NVLink and its error counters since the driver was loaded."""

    link: Count
    active: bool | None
    replays: Count | None = None
    recoveries: Count | None = None
    crc_flits: Count | None = None
    crc_data: Count | None = None


class GpuTenant(StrictModel):
    """One process on a device; `ours` None: it cannot be told. `use` holds means in percent."""

    pid: int
    kind: Literal["compute", "graphics", "mps"]
    name: Name | None
    ours: bool | None
    used_memory_bytes: Count | None
    use: dict[Name, NonNegative]


class GpuDevice(StrictModel):
    """One device as NVML describes it; None is `not known`, never zero."""

    index: Count
    uuid: str | None
    name: str | None
    pci_bus_id: str | None
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    memory_free_bytes: int | None
    utilisation_percent: float | None
    temperature_celsius: float | None
    power_watts: float | None
    power_limit_watts: float | None
    ecc_uncorrected: int | None
    event_reasons: int | None
    processes: int | None
    error: Text | None = None
    serial: Name | None = None
    vbios: Name | None = None
    minor_number: Count | None = None
    architecture: Name | None = None
    compute_capability: Name | None = None
    inforom_valid: bool | None = None
    bar1_total_bytes: Count | None = None
    bar1_used_bytes: Count | None = None
    memory_utilisation_percent: Percent | None = None
    performance_state: Count | None = None
    persistence_mode: bool | None = None
    compute_mode: Count | None = None
    recovery_action: Count | None = None
    thermal: GpuThermal | None = None
    power: GpuPower | None = None
    ecc: GpuEcc | None = None
    rows: GpuRows | None = None
    pages: GpuPages | None = None
    violations: GpuViolations | None = None
    pcie: GpuPcie | None = None
    clocks: GpuClocks | None = None
    mig: GpuMig | None = None
    nvlinks: Annotated[tuple[GpuLink, ...], Field(max_length=_MOST_LINKS)] | None = None
    tenants: Annotated[tuple[GpuTenant, ...], Field(max_length=_MOST_PROCESSES)] = ()
    unread: Annotated[dict[Name, Text], Field(max_length=100, default_factory=dict)]


class GpuSource(StrictModel):
    """What one way of looking saw; `devices` None means this way could not look, and why."""

    name: Literal["pci", "nvml", "nvidia-smi", "torch", "tensorflow"]
    devices: Count | None
    identities: tuple[str, ...]
    reason: str | None


class GpuXid(StrictModel):
    """One XID error of the kernel log, with the device's PCI address as the log has it."""

    address: Name
    number: Count
    words: Text


class GpuStatistics(StrictModel):
    """The samples of one field in a window."""

    n: Annotated[int, Field(ge=1)]
    minimum: float
    mean: float
    maximum: float


Point = tuple[float, float]


class GpuDeviceWindow(StrictModel):
    """One device in the window; `courses` are points of seconds and value, thinned for a plot."""

    index: Count
    samples: Count
    fields: dict[Name, GpuStatistics]
    reason_shares: dict[Name, Share]
    power_violation_percent: Percent | None
    thermal_violation_percent: Percent | None
    grown: dict[Name, Count]
    courses: dict[Name, Annotated[tuple[Point, ...], Field(max_length=_MOST_POINTS)]]


class GpuWindow(StrictModel):
    """What was watched, for how long, and why it ended early if it did."""

    seconds: NonNegative
    interval_seconds: Annotated[float, Field(gt=0)]
    ticks: Count
    failure: Text | None
    devices: Annotated[tuple[GpuDeviceWindow, ...], Field(max_length=_MOST_DEVICES)]


class GpuResult(StrictModel):
    """The gpu probe's section."""

    kind: Literal["gpu"]
    driver_version: str | None
    cuda_driver_version: str | None
    sources: tuple[GpuSource, ...]
    devices: tuple[GpuDevice, ...]
    device_count: Count | None = None
    integrated: Text | None = None
    kernel_driver: Text | None = None
    device_files: Annotated[tuple[Name, ...], Field(max_length=200)] = ()
    hints: Annotated[dict[Name, Text], Field(max_length=20, default_factory=dict)]
    xids: Annotated[tuple[GpuXid, ...], Field(max_length=_MOST_EVENTS)] | None = None
    window: GpuWindow | None = None
