"""What probes say, with whatever matters to a test; everything else is absent."""

from typing import Any

from infertune.core.advice.sources import Evidence
from infertune_probes.contract.load import Envelope

HOST = {
    "hostname": "h",
    "operatingSystem": "Linux",
    "kernel": "6.1",
    "architecture": "x86_64",
    "python": "3.11.2",
    "cpuModel": None,
    "cpuCount": 2,
    "cpuLimit": None,
    "memoryBytes": None,
    "memoryLimitBytes": None,
}
AT = "2026-03-01T12:00:0{}Z"


def envelope(
    probe: str, result: dict[str, Any] | None = None, *, node: str = "n1", **figures: float
) -> Envelope:
    """Return the envelope of a probe; figures are measurements by name."""
    measurements = [
        {"name": name, "unit": "1", "value": value, "interval": None, "n": 3, "reason": None}
        for name, value in figures.items()
    ]
    document = {
        "schema": "infertune.io/probe-result/v1",
        "probe": probe,
        "node": node,
        "image": None,
        "startedAt": AT.format(0),
        "finishedAt": AT.format(5),
        "host": HOST,
        "findings": [],
        "measurements": measurements,
        "artifacts": [],
        "partial": False,
        "result": None if result is None else {"kind": probe, **result},
        "pod": None,
    }
    return Envelope.model_validate(document, strict=False)


def profile(**changes: Any) -> Envelope:
    """Return a profile of 100 calls on a GPU that is busy with products in fp32."""
    section: dict[str, Any] = {
        "mode": "basic",
        "source": "model:forward",
        "device": "NVIDIA A100",
        "torch": "2.8.0",
        "warmupCalls": 5,
        "activeCalls": 10,
        "calls": 100,
        "windowMs": 1000.0,
        "onDevice": True,
        "bound": "compute",
        "confidence": "high",
        "why": "products fill the device",
        "shares": shares(),
        "kinds": {"gemm": 0.75, "attention": 0.0, "pointwise": 0.15, "other": 0.1},
        "precisions": {"fp32": 1.0},
        "parameterTypes": {},
        "autograd": "off",
        "dataWaitShare": 0.0,
        "kernelMedianUs": 50.0,
        "launchesPerCall": 200.0,
        "flopsPerCall": None,
        "synchronisations": [],
        "peakAllocatedBytes": None,
        "peakReservedBytes": None,
        "memoryTimeline": [],
        "tables": [],
    }
    return envelope("profiler", section | changes)


def shares(work: float = 0.8, copy: float = 0.0, launch: float = 0.2, waiting: float = 0.0) -> Any:
    """Return how the window of a profile is spent."""
    return {"work": work, "copy": copy, "launch": launch, "waiting": waiting}


def table(name: str, **rows: float) -> dict[str, Any]:
    """Return a ranking with the share of each row."""
    return {
        "name": name,
        "rankedBy": "deviceTime",
        "rows": [
            {"name": key, "count": 1, "deviceUs": 1.0, "cpuUs": 1.0, "bytes": 0, "share": share}
            for key, share in rows.items()
        ],
        "leftOut": 0,
        "reason": None,
    }


def benchmark(
    node: str = "n1", device: str = "NVIDIA A100", copy: float | None = None, **rates: float
) -> Envelope:
    """Return matrix rates in TFLOP/s by type, and the rate of a copy in GB/s."""
    points = [
        {
            "size": 4096,
            "dtype": dtype,
            "repeats": 10,
            "medianSeconds": 2 * 4096**3 / rate / 1e12,
            "q1Seconds": 2 * 4096**3 / rate / 1e12,
            "q3Seconds": 2 * 4096**3 / rate / 1e12,
            "gflops": 1000 * rate,
            "settled": True,
            "maxRelativeError": 0.0,
        }
        for dtype, rate in rates.items()
    ]
    section = {"device": device, "backend": "torch", "threads": 1, "seed": 1, "matmul": points}
    if copy is not None:
        rate = {"name": "copy", "gigabytesPerSecond": copy, "repeats": 5}
        rate |= {"q1GigabytesPerSecond": copy, "q3GigabytesPerSecond": copy}
        section["streams"] = [rate]
    return envelope("benchmark", section, node=node)


def evidence(*envelopes: Envelope, **rest: Any) -> Evidence:
    """Return the evidence of one node."""
    return Evidence({one.probe: one for one in envelopes}, **rest)
