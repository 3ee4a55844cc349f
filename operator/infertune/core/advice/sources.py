"""What was measured, in the places where the rules look for it.

Role: one node's probes by name, the ladder of one server, and what other devices of the cluster
did. Must not know: what follows. Trade-off: the typed results of the probes are read as they are;
a copy of their fields would be a second contract.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from infertune_probes.contract.gpu_peaks import DTYPES, Peak, every_peak, peak_of
from infertune_probes.contract.gpu_result import GpuDeviceWindow, GpuResult
from infertune_probes.contract.load import Envelope
from infertune_probes.contract.load_result import BenchmarkResult
from infertune_probes.contract.memory_result import MemoryResult
from infertune_probes.contract.profiler_result import ProfilerResult
from infertune_probes.contract.system_result import SystemResult

# How a window of the gpu probe names the use of the multiprocessors and of the memory controller.
IN_USE, MEMORY_IN_USE = "smPercent", "memoryControllerPercent"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The P95 of one server at its lowest and at its highest measured rate, in milliseconds."""

    low_rate: float
    low_p95_ms: float
    high_rate: float
    high_p95_ms: float
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of GPU: rates of matrix products in TFLOP/s by type, and GB/s of a copy in it.

    ``nodes`` is on how many nodes it was measured; 0 means that the figures are a data sheet's.
    ``memory_bytes`` None is not known.
    """

    name: str
    rates: Mapping[str, float]
    copy_gb_s: float | None
    nodes: int
    hourly_price: float | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the rules may look at. What was not measured is not there."""

    envelopes: Mapping[str, Envelope] = field(default_factory=dict)
    ladder: Ladder | None = None
    others: Sequence[Device] = ()
    hourly_price: float | None = None

    def figure(self, probe: str, name: str) -> float | None:
        """Return a measurement by its name, None where it has no number."""
        envelope = self.envelopes.get(probe)
        found = envelope.measurements if envelope is not None else ()
        return next((one.value for one in found if one.name == name), None)

    @property
    def profile(self) -> ProfilerResult | None:
        """What the profiler read, if it could read anything."""
        found = self._result("profiler")
        return found if isinstance(found, ProfilerResult) and found.calls else None

    @property
    def memory(self) -> MemoryResult | None:
        """Peaks by batch."""
        found = self._result("memory")
        return found if isinstance(found, MemoryResult) and found.steps else None

    @property
    def system(self) -> SystemResult | None:
        """The window of the machine."""
        found = self._result("system")
        return found if isinstance(found, SystemResult) else None

    @property
    def gpu(self) -> GpuResult | None:
        """Devices as NVML sees them."""
        found = self._result("gpu")
        return found if isinstance(found, GpuResult) else None

    @property
    def busiest(self) -> GpuDeviceWindow | None:
        """The window of the device that was used most; None: no window, or nothing was told."""
        window = None if self.gpu is None else self.gpu.window
        seen = [] if window is None else [one for one in window.devices if IN_USE in one.fields]
        return max(seen, key=lambda one: one.fields[IN_USE].mean, default=None)

    @property
    def benchmark(self) -> BenchmarkResult | None:
        """Rates of matrix products."""
        found = self._result("benchmark")
        return found if isinstance(found, BenchmarkResult) and found.matmul else None

    @property
    def rates(self) -> Mapping[str, float]:
        """The best measured rate by type in TFLOP/s; a wrong product has no rate."""
        return {} if self.benchmark is None else _teraflops(self.benchmark)

    @property
    def on_paper(self) -> Device | None:
        """The same kind by its data sheet; None on a CPU, or when the table does not know it."""
        here = self.here
        peak = None if here is None else peak_of(here.name)
        return None if peak is None else _of_sheet(peak)

    @property
    def here(self) -> Device | None:
        """The kind of GPU that the benchmark ran on, as it was measured; None on a CPU."""
        found = self.benchmark
        if found is None or found.device == "cpu":
            return None
        return Device(found.device, self.rates, found.copy_gigabytes_per_second, nodes=1)

    def _result(self, probe: str) -> object:
        envelope = self.envelopes.get(probe)
        return None if envelope is None else envelope.result


def of_one_node(envelopes: Iterable[Envelope], node: str) -> Evidence:
    """Return what the probes of one node said, the newest of each, and the devices of others."""
    newest: dict[str, Envelope] = {}
    others: dict[str, list[Envelope]] = {}
    for one in sorted(envelopes, key=lambda envelope: envelope.finished_at):
        if one.node == node:
            newest[one.probe] = one
        elif isinstance(one.result, BenchmarkResult):
            others.setdefault(one.result.device, []).append(one)
    return Evidence(newest, others=[_device(name, seen) for name, seen in others.items()])


def sheets() -> list[Device]:
    """Return every product of the table, by its data sheet."""
    return [_of_sheet(peak) for peak in every_peak()]


def _of_sheet(peak: Peak) -> Device:
    rates = {dtype: rate for dtype in DTYPES if (rate := peak.tflops(dtype)) is not None}
    return Device(peak.sku, rates, peak.memory_gb_per_second, 0, memory_bytes=peak.memory_gb * 1e9)


def _teraflops(result: BenchmarkResult) -> dict[str, float]:
    return {dtype: rate / 1000 for dtype, rate in result.best_gflops.items()}


def _device(name: str, seen: Sequence[Envelope]) -> Device:
    results = [one.result for one in seen if isinstance(one.result, BenchmarkResult)]
    rates: dict[str, list[float]] = {}
    for result in results:
        for dtype, rate in _teraflops(result).items():
            rates.setdefault(dtype, []).append(rate)
    known = (one.copy_gigabytes_per_second for one in results)
    copies = [copy for copy in known if copy is not None]
    nodes = {envelope.node for envelope in seen}
    middle = {dtype: _middle(values) for dtype, values in rates.items()}
    return Device(name, middle, _middle(copies) if copies else None, len(nodes))


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
