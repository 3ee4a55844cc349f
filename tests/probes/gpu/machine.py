"""A machine as the gpu probe sees it: a scripted driver, a PCI bus, device files, a kernel log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.gpu_result import GpuResult
from tests.probes.gpu.scenarios import Value, scenario
from tests.probes.running import Ran, run_probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIBRARIES = Path(__file__).parent / "libraries"


@dataclass
class Machine:
    """Set it up with `driver`, `bus` and so on, then `run` the probe on it."""

    folder: Path
    library: Path | None
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("root/dev", "root/proc", "root/sys/bus/pci/devices", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "root/dev/kmsg").write_text("")

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def driver(
        self, *devices: Mapping[str, Value], bus: int | None = None, **system: Value
    ) -> None:
        """Script the driver; as many devices are on the bus, and have a device file."""
        self.script(scenario(devices, **system))
        self.put_on_bus(len(devices) if bus is None else bus)
        self.device_files(len(devices))

    def script(self, text: str) -> None:
        (self.folder / "scenario").write_text(text)

    def put_on_bus(self, gpus: int, driver: str = "nvidia") -> None:
        """One network card, one NVIDIA audio function, and so many GPUs."""
        functions = [("0000:00:03.0", "0x1af4", "0x020000"), ("0000:3b:00.1", "0x10de", "0x040300")]
        functions += [(self.address(i), "0x10de", "0x030200") for i in range(gpus)]
        for address, vendor, kind in functions:
            function = self.function(address)
            function.mkdir(parents=True, exist_ok=True)
            (function / "vendor").write_text(f"{vendor}\n")
            (function / "class").write_text(f"{kind}\n")
            (function / "config").write_bytes(bytes.fromhex("de10302300000000"))
            if not (function / "driver").is_symlink():
                (function / "driver").symlink_to(f"../../drivers/{driver}")

    @staticmethod
    def address(index: int) -> str:
        return f"0000:{0x3B + index:02x}:00.0"

    def function(self, address: str) -> Path:
        return self.root / "sys/bus/pci/devices" / address

    def device_files(self, count: int) -> None:
        for name in (*(f"nvidia{i}" for i in range(count)), "nvidiactl", "nvidia-uvm"):
            (self.root / "dev" / name).write_text("")

    def smi(self, script: str) -> None:
        program = self.folder / "bin/nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def torch(self, **facts: object) -> None:
        """Put a torch (and only it) in front: `devices`, `cuda`, `complaint`."""
        self.env["FAKE_TORCH"] = repr(facts)

    def tensorflow(self, **facts: object) -> None:
        """Put a TensorFlow in front: `devices`, `cuda`."""
        self.env["FAKE_TENSORFLOW"] = repr(facts)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NVIDIA_", "CUDA_"))}
        paths = [str(LIBRARIES)] if any(name.startswith("FAKE_") for name in self.env) else []
        tools = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        found = {**kept, "PATH": tools, "NVML_SCENARIO": str(self.folder / "scenario")}
        if self.library is not None:
            found["LD_LIBRARY_PATH"] = str(self.library)
        return {**found, "PYTHONPATH": os.pathsep.join(paths), **self.env}

    def run(self, *flags: str) -> Ran:
        """Run the probe to its end."""
        root = ("--root", str(self.root))
        return run_probe(self.folder, "gpu", *root, *flags, env=self.environment())

    def start_on(self, terminal: int, *flags: str) -> subprocess.Popen[bytes]:
        """Start the probe with its output on a terminal."""
        command = [sys.executable, "-m", "infertune_probes.gpu", "--root", str(self.root), *flags]
        return subprocess.Popen(command, env=self.environment(), stdout=terminal)

    def start(self, *flags: str) -> subprocess.Popen[str]:
        """Start the probe; whoever starts it waits for it."""
        command = [sys.executable, "-m", "infertune_probes.gpu", "--root", str(self.root), *flags]
        return subprocess.Popen(
            command,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


# ---- reading what it said


def gpu_result(ran: Ran) -> GpuResult:
    assert isinstance(ran.envelope.result, GpuResult)
    return ran.envelope.result


def verdicts(ran: Ran) -> dict[str, str]:
    """The worst verdict of every code."""
    order = ["fail", "unknown", "warn", "pass"]
    found: dict[str, str] = {}
    for finding in ran.envelope.findings:
        worse = [finding.verdict, found.get(finding.code, "pass")]
        found[finding.code] = min(worse, key=order.index)
    return found


def evidence(ran: Ran, code: str) -> str:
    (found,) = [finding for finding in ran.envelope.findings if finding.code == code]
    return found.evidence


def child_of(process: subprocess.Popen[str]) -> int:
    """Return the first child of the process, as soon as there is one."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (found := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return int(found[0])


def wait_for_samples(process: subprocess.Popen[str]) -> None:
    """Wait until the child that samples has written some; a sample takes some 3,000 bytes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            try:
                words = Path(f"/proc/{child}/cmdline").read_text()
                written = Path(f"/proc/{child}/io").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "samples" in words and int(written.split("wchar: ")[1].split()[0]) > 10_000:
                return
        time.sleep(0.02)


def ended(pid: int, within_seconds: float) -> bool:
    """An orphan is gone, or a zombie that init has not collected yet."""
    stat, deadline = Path(f"/proc/{pid}/stat"), time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[str, str]:
    process.send_signal(number)
    return process.communicate(timeout=60)


def codes_of(ran: Ran, *wanted: str) -> Sequence[str]:
    """Return which of the wanted codes were found, in the order of the findings."""
    return [code for code in ran.codes if code in wanted]
