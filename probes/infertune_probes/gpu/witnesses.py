"""Asks every witness which GPUs there are, and writes down what each one said.

It must not compare or judge. Trade-off: the PCI bus in a container is the host's, so it can show
devices that this pod was not given; that is why the judgement treats it as the widest view.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from infertune_probes.contract.child import Heard, ask

PCI_ROOT = Path("/sys/bus/pci/devices")
NVIDIA = "0x10de"
DISPLAY_CLASS = "0x03"
SMI = "nvidia-smi"


@dataclass(frozen=True)
class Source:
    """One witness: its identities, or `identities` None and the reason."""

    name: str
    identities: tuple[str, ...] | None
    reason: str | None = None
    hung: bool = False

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
class Sight:
    """What all witnesses said, and NVML's details."""

    pci: Source
    nvml: Source
    smi: Source
    torch: Source
    driver: str | None = None
    cuda: str | None = None
    devices: tuple[dict[str, object], ...] = field(default=())

    @property
    def sources(self) -> tuple[Source, ...]:
        """All witnesses, the widest view first."""
        return (self.pci, self.nvml, self.smi, self.torch)

    def describe(self) -> str:
        """Return all witnesses in one line."""
        return "; ".join(source.describe() for source in self.sources)


def look(pci_root: Path, deadline_seconds: float) -> Sight:
    """Ask all witnesses, one after another, each with the deadline."""
    pci = see_bus(pci_root)
    heard = ask(_reader("nvml"), deadline_seconds)
    seen = _parsed(heard)
    nvml = _source("nvml", heard, seen, "uuid")
    # A witness that hung is not asked again in another voice: smi and torch use the same driver.
    if nvml.hung:
        skipped = "not asked, because NVML hung"
        return Sight(pci, nvml, Source(SMI, None, skipped), Source("torch", None, skipped))
    smi = see_smi(deadline_seconds)
    heard_torch = ask(_reader("torch"), deadline_seconds)
    torch = _source("torch", heard_torch, _parsed(heard_torch), None)
    devices = seen.get("devices")
    return Sight(
        pci=pci,
        nvml=nvml,
        smi=smi,
        torch=torch,
        driver=_optional_text(seen.get("driver")),
        cuda=_optional_text(seen.get("cuda")),
        devices=tuple(devices) if isinstance(devices, list) else (),
    )


def see_bus(root: Path) -> Source:
    """Return the NVIDIA display devices on the PCI bus, by address."""
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        return Source("pci", None, f"cannot be read: {error.strerror}")
    found = [
        entry.name.lower()
        for entry in entries
        if _word(entry / "vendor") == NVIDIA and _word(entry / "class").startswith(DISPLAY_CLASS)
    ]
    return Source("pci", tuple(found))


def see_smi(deadline_seconds: float) -> Source:
    """Return the UUIDs that nvidia-smi lists."""
    heard = ask([SMI, "--query-gpu=uuid", "--format=csv,noheader"], deadline_seconds)
    if heard.text is None:
        return Source(SMI, None, heard.reason, heard.hung)
    lines = [line.strip() for line in heard.text.splitlines()]
    # "No devices were found" comes on stdout with exit status 0 on some drivers.
    return Source(SMI, tuple(line for line in lines if line.startswith(("GPU-", "MIG-"))))


def _reader(witness: str) -> list[str]:
    return [sys.executable, "-m", "infertune_probes.gpu.reader", witness]


def _parsed(heard: Heard) -> dict[str, object]:
    """Return the child's last line as an object; libraries may print before it."""
    lines = (heard.text or "").strip().splitlines()
    try:
        seen = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return seen if isinstance(seen, dict) else {}


def _source(name: str, heard: Heard, seen: dict[str, object], key: str | None) -> Source:
    if heard.text is None:
        return Source(name, None, heard.reason, heard.hung)
    devices = seen.get("devices")
    if not isinstance(devices, list):
        return Source(name, None, str(seen.get("error", "said nothing readable")))
    if key is None:
        return Source(name, tuple(str(device) for device in devices))
    return Source(name, tuple(str(device.get(key)) for device in devices))


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip().lower()
    except OSError:
        return ""


def _optional_text(value: object) -> str | None:
    return None if value is None else str(value)
