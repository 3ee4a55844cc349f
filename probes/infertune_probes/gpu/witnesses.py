"""Asks every witness which GPUs there are, and writes down what each one said.

It must not compare or judge. Trade-off: NVML is asked first and alone, because whoever asks a hung
driver after it would hang as well; the others, which are slow to start, are asked at once.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infertune_probes.gpu.reading import Device
from infertune_probes.gpu.stream import Stream

if TYPE_CHECKING:
    from infertune_probes.gpu.surroundings import Surroundings

SMI = "nvidia-smi"
TORCH = "torch"
TENSORFLOW = "tensorflow"
_NOTHING_TO_SEE_SECONDS = 6.0
_NOT_ASKED = "not asked, because NVML hung"


@dataclass(frozen=True)
class Source:
    """One witness: its identities, or `identities` None and the reason.

    Attributes:
        words: what else it said: version, the CUDA it was built for, the driver's complaint.
    """

    name: str
    identities: tuple[str, ...] | None
    reason: str | None = None
    words: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int | None:
        """How many devices it saw; None: it could not look."""
        return None if self.identities is None else len(self.identities)

    def describe(self) -> str:
        """Return the witness in a few words, for evidence."""
        if self.identities is None:
            return f"{self.name}: {self.reason}"
        return f"{self.name}: {len(self.identities)}"

    def to_json(self) -> dict[str, object]:
        """Return the witness as a JSON object."""
        return {
            "name": self.name,
            "devices": self.count,
            "identities": list(self.identities or ()),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Driver:
    """What NVML said until it ended.

    Attributes:
        devices: those that were read, also in part; a device with an error ends with it.
        count: how many NVML lists; None when it did not come so far.
        failure: why it could not be asked, or not to the end.
        hung: whether a call did not return in time.
        killed_by: the signal that ended the child, when the library crashed.
        during: the call that was running, with the device it was about.
    """

    devices: tuple[Device, ...] = ()
    count: int | None = None
    version: str | None = None
    cuda: str | None = None
    failure: str | None = None
    hung: bool = False
    killed_by: str | None = None
    during: str | None = None

    @property
    def source(self) -> Source:
        """NVML as one of the witnesses."""
        if self.count is None:
            return Source("nvml", None, self.failure or "said nothing readable")
        known = {device.index: device.words("uuid") for device in self.devices}
        uuids = [known.get(index) or f"device {index}" for index in range(self.count)]
        return Source("nvml", tuple(uuids), self.failure)


@dataclass(frozen=True)
class Sight:
    """What all witnesses said."""

    around: Surroundings
    nvml: Driver
    smi: Source
    torch: Source
    tensorflow: Source

    @property
    def bus(self) -> Source:
        """The PCI bus as one of the witnesses."""
        found = self.around.bus
        if found is None:
            return Source("pci", None, self.around.bus_reason)
        return Source("pci", tuple(device.address for device in found))

    @property
    def sources(self) -> tuple[Source, ...]:
        """All witnesses, the widest view first."""
        return (self.bus, self.nvml.source, self.smi, self.torch, self.tensorflow)

    def describe(self) -> str:
        """Return all witnesses in one line; one that is not installed is of no interest."""
        told = [s for s in self.sources if s.name != TENSORFLOW or s.reason != "not installed"]
        return "; ".join(source.describe() for source in told)


def look(around: Surroundings, deadline_seconds: float) -> Sight:
    """Ask all witnesses, each with the deadline."""
    nvml = ask_nvml(deadline_seconds)
    if nvml.hung:
        # A witness that uses the same driver would hang in another voice.
        silent = [Source(name, None, _NOT_ASKED) for name in (SMI, TORCH, TENSORFLOW)]
        return Sight(around, nvml, *silent)
    if not nvml.count and not around.bus and around.jetson is None:
        # There is no GPU for torch to see; its start must not hold up a node without one.
        deadline_seconds = min(deadline_seconds, _NOTHING_TO_SEE_SECONDS)
    smi = [SMI, "--query-gpu=uuid", "--format=csv,noheader"]
    with ExitStack() as stack:
        commands = [smi, reader(TORCH), reader(TENSORFLOW)]
        streams = [stack.enter_context(Stream(each, deadline_seconds)) for each in commands]
        return Sight(
            around,
            nvml,
            _smi_source(streams[0]),
            _library_source(TORCH, streams[1]),
            _library_source(TENSORFLOW, streams[2]),
        )


def reader(*words: str) -> list[str]:
    """Return the command of the child that touches a driver."""
    return [sys.executable, "-m", "infertune_probes.gpu.reader", *words]


def ask_nvml(deadline_seconds: float) -> Driver:
    """Return what NVML says; what it said before it hung or died is kept."""
    devices: list[Device] = []
    said: dict[str, object] = {}
    calling: dict[str, object] = {}
    with Stream(reader("nvml"), deadline_seconds) as stream:
        for line in stream.lines():
            words = parsed(line)
            facts = words.get("facts")
            if isinstance(facts, dict):
                devices.append(Device(facts))
            if "calling" in words:
                calling = words
            else:
                said.update(words)
    system = said.get("system")
    system = system if isinstance(system, dict) else {}
    ended = "done" in said
    failure = stream.failure or _optional_text(said.get("error"))
    return Driver(
        devices=tuple(devices),
        count=_count(said.get("count")),
        version=_optional_text(system.get("driver")),
        cuda=_optional_text(system.get("cuda")),
        failure=None if ended else failure or "said nothing readable",
        hung=stream.hung,
        killed_by=stream.killed_by,
        during=None if ended else announced(calling),
    )


def parsed(line: str) -> dict[str, object]:
    """Return the line as an object; a library may print lines of its own."""
    try:
        words = json.loads(line)
    except ValueError:
        return {}
    return words if isinstance(words, dict) else {}


def announced(calling: dict[str, object]) -> str | None:
    """Return the announced call in words."""
    if not calling:
        return None
    device = calling.get("device")
    return f"{calling['calling']}" + ("" if device is None else f" of device {device}")


def _smi_source(stream: Stream) -> Source:
    lines = [line.strip() for line in stream.lines()]
    if stream.failure is not None:
        return Source(SMI, None, stream.failure)
    # "No devices were found" comes on stdout with exit status 0 on some drivers.
    return Source(SMI, tuple(line for line in lines if line.startswith(("GPU-", "MIG-"))))


def _library_source(name: str, stream: Stream) -> Source:
    said: dict[str, object] = {}
    for line in stream.lines():
        said.update(parsed(line))
    devices = said.get("devices")
    words = {key: str(said[key]) for key in ("version", "cudaOfBuild", "words") if said.get(key)}
    if not isinstance(devices, list):
        reason = stream.failure or _optional_text(said.get("error")) or "said nothing readable"
        return Source(name, None, reason, words)
    return Source(name, tuple(str(device) for device in devices), None, words)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _optional_text(value: object) -> str | None:
    return None if value is None else str(value)
