"""Probe results as a model server of known speed would give them.

A served request takes an exponential time with the given P95, as in a single queue: the share over
t ms is ``exp(-t * ln 20 / p95)``, which is 5 % at t = p95.
"""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from infertune_probes.contract.load import Envelope
from infertune_probes.contract.load_result import LoadResult

LN20 = math.log(20)
BLOCK_REQUESTS = 200
_HOST: dict[str, Any] = {
    "hostname": "probe",
    "operatingSystem": "Linux",
    "kernel": "6.1",
    "architecture": "x86_64",
    "python": "3.11.2",
    "cpuModel": None,
    "cpuCount": 2,
    "cpuLimit": 0.5,
    "memoryBytes": None,
    "memoryLimitBytes": None,
}


def envelope(
    probe: str,
    node: str,
    finished_at: datetime,
    findings: Sequence[dict[str, str]] = (),
    result: dict[str, Any] | None = None,
) -> Envelope:
    """Return a whole, valid envelope."""
    return Envelope.model_validate_json(
        _json(
            {
                "schema": "infertune.io/probe-result/v1",
                "probe": probe,
                "node": node,
                "image": None,
                "startedAt": (finished_at - timedelta(seconds=5)).isoformat(),
                "finishedAt": finished_at.isoformat(),
                "host": _HOST,
                "findings": list(findings),
                "measurements": [],
                "artifacts": [],
                "partial": False,
                "result": result,
            }
        )
    )


def finding(code: str, verdict: str, evidence: str = "as seen", fix: str = "") -> dict[str, str]:
    """Return one finding."""
    return {"code": code, "verdict": verdict, "evidence": evidence, "fix": fix}


def no_gpu(node: str, finished_at: datetime) -> Envelope:
    """Return what the GPU probe says on a node without one."""
    return envelope("gpu", node, finished_at, [finding("NO_DEVICE", "unknown", "no GPU here")])


def no_driver(node: str, finished_at: datetime) -> Envelope:
    """Return what the probe of versions says on a node without a driver."""
    unknown = finding("DRIVER_UNKNOWN", "unknown", "no driver here")
    return envelope("versions", node, finished_at, [unknown], _versions(None, None, ()))


def a_driver(
    node: str,
    finished_at: datetime,
    version: str,
    cuda: str | None = None,
    capabilities: Sequence[str] = ("9.0",),
) -> Envelope:
    """Return what the probe of versions says on a node with data-centre GPUs and this driver."""
    known = finding("DRIVER_KNOWN", "pass", version)
    result = _versions(version, cuda, capabilities)
    return envelope("versions", node, finished_at, [known], result)


def _versions(version: str | None, cuda: str | None, capabilities: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": "versions",
        "driverVersion": version,
        "cudaDriverVersion": cuda,
        "driverSources": [],
        "devices": [
            {
                "index": index,
                "uuid": f"GPU-{index}",
                "name": "NVIDIA H100",
                "brand": "nvidia",
                "computeCapability": capability,
            }
            for index, capability in enumerate(capabilities)
        ],
        "libraries": [],
        "torch": None,
        "torchReason": "not asked",
        "hints": {},
        "compatibility": {"kind": "unknown", "reason": "only the host was asked for", "fix": ""},
        "launches": None,
    }


def matmul(node: str, finished_at: datetime) -> Envelope:
    """Return what the benchmark says on a CPU."""
    point = {
        "size": 512,
        "dtype": "float32",
        "repeats": 20,
        "medianSeconds": 0.01,
        "q1Seconds": 0.0095,
        "q3Seconds": 0.0105,
        "gflops": 26.8,
        "settled": True,
        "maxRelativeError": 1e-6,
    }
    result = {
        "kind": "benchmark",
        "device": "cpu",
        "backend": "numpy",
        "threads": 1,
        "seed": 1,
        "matmul": [point],
    }
    return envelope("benchmark", node, finished_at, [finding("MATMUL", "pass")], result)


def load(
    rates: Sequence[float],
    p95_ms: Callable[[float], float],
    slo_ms: float,
    seconds: float,
    finished_at: datetime,
    quality: tuple[int, int] | None = None,
) -> Envelope:
    """Return what the load probe says of a server whose P95 at a rate is ``p95_ms(rate)``.

    ``quality`` is how many golden answers were right, of how many; all must be.
    """
    accepted = quality is None or quality[0] == quality[1]
    levels = [_level(rate, p95_ms(rate), slo_ms, seconds) for rate in rates] if accepted else []
    result = {
        "kind": "load",
        "url": "http://10.0.0.1:8080/predict",
        "method": "POST",
        "payloadBytes": 64,
        "arrivals": "poisson",
        "seed": 1,
        "sloMs": float(slo_ms),
        "timeoutMs": 10000.0,
        "blockRequests": BLOCK_REQUESTS,
        "requestsPerConnection": 0,
        "eventLoop": "uvloop",
        "startup": {"url": "http://10.0.0.1:8080/", "seconds": 1.5, "attempts": 3, "ready": True},
        "quality": None if quality is None else _quality(*quality),
        "levels": levels,
    }
    LoadResult.model_validate_json(_json(result))
    code = finding("LOAD_MEASURED", "pass") if accepted else finding("QUALITY_FAILED", "fail")
    return envelope("load", "node-1", finished_at, [code], result)


def _level(rate: float, p95: float, slo_ms: float, seconds: float) -> dict[str, Any]:
    sent = max(1, round(rate * seconds))
    over = math.exp(-slo_ms * LN20 / p95)
    mean = p95 / LN20
    blocks = _blocks(sent, over, rate)
    return {
        "offeredRate": float(rate),
        "state": "measured",
        "reason": None,
        "windowSeconds": float(seconds),
        "warmupSeconds": 3.0,
        "warmupRequests": round(rate * 3),
        "sent": sent,
        "sentRate": sent / seconds,
        "completed": sent,
        "achievedRate": sent / seconds,
        "exceeded": sum(block["exceeded"] for block in blocks),
        "errors": {},
        "latency": {
            "p50": _percentile(mean * math.log(2)),
            "p95": _percentile(p95),
            "p99": _percentile(mean * math.log(100)),
            "meanCompletedMs": mean,
        },
        "histogram": {"buckets": [[_bucket(mean), sent]], "failed": 0},
        "latenciesTenthMs": None,
        "blocks": blocks,
        "batches": [
            {"requests": max(1, sent // 20), "p95": _percentile(p95 * (1 + wobble))}
            for wobble in (0.02, -0.02, 0.01, -0.01, 0.03, -0.03, 0.0, 0.02, -0.02, 0.01)
        ],
        "latenessP50Ms": 0.2,
        "latenessP99Ms": 1.0,
        "clientCpuShare": 0.1,
        "meanInFlight": rate * mean / 1000,
        "inFlightAtStart": 0,
        "inFlightAtEnd": 0,
        "littlesRatio": 1.0,
    }


def _blocks(sent: int, over: float, rate: float) -> list[dict[str, Any]]:
    """Return blocks with the share ``over``, a little more in one and less in the next."""
    count = max(1, sent // BLOCK_REQUESTS)
    sizes = [BLOCK_REQUESTS] * (count - 1)
    sizes.append(sent - sum(sizes))
    found: list[dict[str, Any]] = []
    start = 0.0
    for number, size in enumerate(sizes):
        share = min(1.0, over * (1.1 if number % 2 else 0.9))
        found.append(
            {"startSeconds": start, "requests": size, "exceeded": min(size, round(size * share))}
        )
        start += size / rate
    return found


def _quality(passed: int, total: int) -> dict[str, Any]:
    return {
        "passed": passed,
        "total": total,
        "worstDeviation": 0.001 if passed == total else 3.0,
        "dropPercent": 100.0 * (total - passed) / total,
        "maxDropPercent": 0.0,
        "accepted": passed == total,
        "cases": [
            {"name": f"case-{i}", "passed": i < passed, "deviation": 0.0, "reason": None}
            for i in range(total)
        ],
    }


def _percentile(value_ms: float) -> dict[str, Any]:
    return {"valueMs": value_ms, "censored": False}


def _bucket(value_ms: float) -> int:
    return max(0, math.ceil(math.log(value_ms / 0.1) / math.log(1.01)))


def _json(value: object) -> str:
    return json.dumps(value)
