"""Levels of a load probe, made by hand: healthy unless told otherwise."""

import json
from collections.abc import Sequence
from typing import Any

from infertune_probes.contract.load_result import Level


def level_of(over: Sequence[bool], rate: float, block_requests: int) -> Level:
    """Return a healthy level in which exactly these requests were over the promise."""
    blocks = []
    for start in range(0, len(over) - block_requests + 1, block_requests):
        end = start + block_requests
        if len(over) - end < block_requests:
            end = len(over)
        part = over[start:end]
        blocks.append({"startSeconds": start / rate, "requests": len(part), "exceeded": sum(part)})
    return level(
        offered_rate=rate,
        window_seconds=len(over) / rate,
        sent=len(over),
        completed=len(over),
        exceeded=sum(over),
        blocks=blocks,
    )


def level(**changes: Any) -> Level:
    """Return a healthy level: 900 requests in 30 s, none over, ten blocks, all gates measured."""
    values: dict[str, Any] = {
        "offered_rate": 30.0,
        "state": "measured",
        "reason": None,
        "window_seconds": 30.0,
        "warmup_seconds": 5.0,
        "warmup_requests": 150,
        "sent": 900,
        "completed": 900,
        "exceeded": 0,
        "errors": {},
        "latency": latency(50, 150, 180),
        "histogram": {"buckets": [], "failed": 0},
        "latencies_tenth_ms": None,
        "batches": [],
        "lateness_p50_ms": 0.1,
        "lateness_p99_ms": 1.0,
        "client_cpu_share": 0.1,
        "mean_in_flight": 1.5,
        "in_flight_at_start": 1,
        "in_flight_at_end": 2,
        "littles_ratio": 1.0,
    }
    values.update(changes)
    window = values["window_seconds"]
    values.setdefault("sent_rate", values["sent"] / window if window else 0.0)
    values.setdefault("achieved_rate", values["completed"] / window if window else 0.0)
    values.setdefault("blocks", even_blocks(values["sent"], values["exceeded"], 10))
    document = {_camel(name): value for name, value in values.items()}
    return Level.model_validate_json(json.dumps(document))


def even_blocks(sent: int, exceeded: int, count: int) -> list[dict[str, float]]:
    """Return blocks that share the requests and the slow ones as evenly as whole numbers can."""
    if sent < count:
        return [{"startSeconds": 0, "requests": sent, "exceeded": exceeded}] if sent else []
    return [
        {
            "startSeconds": float(index),
            "requests": sent * (index + 1) // count - sent * index // count,
            "exceeded": exceeded * (index + 1) // count - exceeded * index // count,
        }
        for index in range(count)
    ]


def latency(p50: float, p95: float, p99: float) -> dict[str, Any]:
    names = ("p50", "p95", "p99")
    values = {
        name: {"valueMs": value, "censored": False}
        for name, value in zip(names, (p50, p95, p99), strict=True)
    }
    return {**values, "meanCompletedMs": p50}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
