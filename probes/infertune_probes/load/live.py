"""A JSON line every two seconds about the traffic of those two seconds.

It must not know the ladder; it sees requests leave and end. A window counts requests by the
moment they ended, so a stalled server shows as windows without completions and a growing
`inFlight`, never as a fast one. Trade-off: no /metrics endpoint; a line per window with a
mergeable histogram is enough to rebuild any longer window exactly.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infertune_probes.contract.histogram import as_pairs, bucket_of
from infertune_probes.contract.session import now_rfc3339
from infertune_probes.load.shots import Shot, rank_latency

if TYPE_CHECKING:
    from collections.abc import Callable

    from infertune_probes.load.tally import Terms


@dataclass(slots=True)
class LiveWindow:
    """Counts one window and starts over; `offered_rate` is set by whoever changes the rate."""

    terms: Terms
    offered_rate: float = 0.0
    _sent: int = 0
    _in_flight: int = 0
    _ended: list[Shot] = field(default_factory=list)
    _since: float = field(default_factory=time.perf_counter)

    def sent(self) -> None:
        """Count a request that left."""
        self._sent += 1
        self._in_flight += 1

    def finished(self, shot: Shot) -> None:
        """Count a request that ended."""
        self._in_flight -= 1
        self._ended.append(shot)

    def roll(self, now: float) -> dict[str, object]:
        """Return the window that ends now and begin the next one."""
        ended, seconds = self._ended, now - self._since
        line = self._describe(ended, seconds)
        self._ended, self._sent, self._since = [], 0, now
        return line

    def _describe(self, ended: list[Shot], seconds: float) -> dict[str, object]:
        errors: dict[str, int] = {}
        buckets: dict[int, int] = {}
        for shot in ended:
            if shot.error is None:
                bucket = bucket_of(shot.latency_ms)
                buckets[bucket] = buckets.get(bucket, 0) + 1
            else:
                errors[shot.error] = errors.get(shot.error, 0) + 1
        failed = sum(errors.values())
        return {
            "type": "window",
            "at": now_rfc3339(),
            "seconds": round(seconds, 3),
            "offeredRate": self.offered_rate,
            "sent": self._sent,
            "completed": len(ended) - failed,
            "achievedRate": round((len(ended) - failed) / seconds, 3) if seconds > 0 else 0.0,
            "sloMs": self.terms.slo_ms,
            "exceeded": sum(1 for shot in ended if shot.exceeds(self.terms.slo_ms)),
            "errors": errors,
            "failed": failed,
            "inFlight": self._in_flight,
            **self._percentiles(ended),
            "histogram": as_pairs(buckets),
        }

    def _percentiles(self, ended: list[Shot]) -> dict[str, float | None]:
        names = ("p50Ms", "p95Ms", "p99Ms")
        if not ended:
            return dict.fromkeys(names)
        ranked = rank_latency(ended, (0.50, 0.95, 0.99), self.terms.timeout_ms)
        # A percentile among failures has no number here; `failed` says how many there were.
        return {
            name: None if rank.censored else round(rank.value_ms, 3)
            for name, rank in zip(names, ranked, strict=True)
        }


def as_line(window: dict[str, object]) -> str:
    """Return a window as one line of JSON."""
    return json.dumps(window, separators=(",", ":"), allow_nan=False) + "\n"


async def narrate(window: LiveWindow, seconds: float, write: Callable[[str], object]) -> None:
    """Write a line per window until cancelled."""
    due = time.perf_counter()
    while True:
        # Fixed due times: a slow writer must not stretch every later window.
        due += seconds
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        write(as_line(window.roll(time.perf_counter())))
