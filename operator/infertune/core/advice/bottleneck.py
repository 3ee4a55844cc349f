"""The one verdict over all probes: what holds the server back, and by how much.

Role: shares of the time of a call, or of the machine, by what it is spent on. Must not know:
remedies. Trade-off: shares of different measures (a profile, stalls of the kernel, a ladder of
rates) cannot be added up, so each says of what it is a share, and the largest of the most telling
measure wins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from infertune.core.advice.sources import IN_USE, MEMORY_IN_USE, Evidence
from infertune.core.evidence import NoData
from infertune_probes.contract.profiler_result import ProfilerResult

Kind = Literal[
    "gpu compute",
    "gpu memory bandwidth",
    "gpu",
    "launch",
    "copy",
    "cpu",
    "host memory",
    "disk",
    "network",
    "batching",
    "queueing",
    "server",
]
Of = Literal[
    "the P95 at the highest rate",
    "the time of a call",
    "the time of the machine",
    "all segments sent",
]
Confidence = Literal["low", "medium", "high"]

COMPUTING = ("gemm", "attention", "convolution")
# Below this a part is not worth a sentence.
LEAST_SHARE = 0.05
# A machine stalls a little under any load; this much is felt by every request.
_STALLED = 0.10
_NETWORK_RETRANSMITS = 0.01
_PRESSURES: tuple[tuple[str, Kind], ...] = (
    ("cpu", "cpu"),
    ("memory", "host memory"),
    ("io", "disk"),
)
_WEIGHT = {"low": 0.4, "medium": 0.7, "high": 1.0}


@dataclass(frozen=True, slots=True)
class Part:
    """A share in [0, 1] of something, what it is spent on, and where that was seen."""

    kind: Kind
    share: float
    of: Of
    why: str
    confidence: Confidence

    @property
    def weight(self) -> float:
        """The share, weighed by how sure it is."""
        return self.share * _WEIGHT[self.confidence]


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The verdict: the part that weighs most, and all others, heaviest first."""

    first: Part
    parts: tuple[Part, ...]

    def share(self, *kinds: Kind) -> float:
        """Return the largest share that any of these kinds has, 0.0 when none was seen."""
        return max((part.share for part in self.parts if part.kind in kinds), default=0.0)


def find_bottleneck(evidence: Evidence) -> Bottleneck | NoData:
    """Return what holds the server back; NoData when nothing that was measured can tell."""
    parts = list(_parts(evidence))
    ranked = tuple(sorted(parts, key=lambda part: (-part.weight, part.kind)))
    if not ranked:
        seen = ", ".join(sorted(evidence.envelopes)) or "no probe"
        return NoData("TooFew", f"nothing measured tells what holds the server back ({seen})")
    return Bottleneck(ranked[0], ranked)


def _parts(evidence: Evidence) -> Iterator[Part]:
    spent = [*_of_ladder(evidence)]
    if evidence.profile is not None and evidence.profile.shares is not None:
        spent += _of_profile(evidence.profile)
    else:
        spent += _of_window(evidence)
    yield from (part for part in spent if part.share >= LEAST_SHARE)
    yield from _of_machine(evidence)


def _of_ladder(evidence: Evidence) -> Iterator[Part]:
    """Yield what waiting adds: the lowest rate shows the server alone."""
    ladder = evidence.ladder
    if ladder is None or ladder.high_p95_ms <= ladder.low_p95_ms:
        return
    share = 1 - ladder.low_p95_ms / ladder.high_p95_ms
    why = (
        f"P95 {ladder.low_p95_ms:.0f} ms at {ladder.low_rate:g}/s and {ladder.high_p95_ms:.0f} ms "
        f"at {ladder.high_rate:g}/s on one replica: the difference is waiting"
    )
    # One request at a time, while the device has room for more, is waiting for want of a batch.
    alone = ladder.batch_size == 1 and _busy(evidence) < 1 - LEAST_SHARE
    kind: Kind = "batching" if alone else "queueing"
    yield Part(kind, share, "the P95 at the highest rate", why, "medium")


def _busy(evidence: Evidence) -> float:
    """Return the share of time in which the device works; 1.0 when nobody knows."""
    profile, window = evidence.profile, evidence.busiest
    if profile is not None and profile.busy_share is not None:
        return profile.busy_share
    return 1.0 if window is None else window.fields[IN_USE].mean / 100


def _of_profile(profile: ProfilerResult) -> Iterator[Part]:
    shares = profile.shares
    assert shares is not None
    of: Of = "the time of a call"
    told = f"profile of {profile.calls} calls"
    sure = profile.confidence
    if profile.on_device:
        kind: Kind = "gpu"
        if profile.bound in {"compute", "memory"}:
            kind = "gpu compute" if profile.bound == "compute" else "gpu memory bandwidth"
        yield Part(kind, shares.work, of, f"{told}: {profile.why}", sure)
    else:
        yield Part("cpu", shares.work, of, f"{told}, all of it on the CPU: {profile.why}", sure)
    yield Part("copy", shares.copied, of, f"{told}: copies that nothing overlaps", sure)
    late = f"{told}: the device waits until the host has launched its next kernel"
    if not profile.on_device:
        late = f"{told}: Python and dispatch between the operators"
    yield Part("launch", shares.launch, of, late, sure)
    waits = f"{told}: nobody has given the device any work"
    yield Part("server", shares.waiting, of, waits, "low")


def _of_window(evidence: Evidence) -> Iterator[Part]:
    """Yield what utilisation tells: that a device works, not on what."""
    window = evidence.busiest
    if window is None:
        return
    used, memory = window.fields[IN_USE], window.fields.get(MEMORY_IN_USE)
    share = min(1.0, used.mean / 100)
    words = f"GPU {window.index} was in use {used.mean:.0f} % of the time ({used.n} samples"
    kind: Kind = "gpu"
    if memory is not None:
        words += f", its memory {memory.mean:.0f} %"
    yield Part(kind, share, "the time of the machine", words + ")", "low")


def _of_machine(evidence: Evidence) -> Iterator[Part]:
    of: Of = "the time of the machine"
    throttled = _percent(evidence, "group_throttled")
    if throttled is not None and throttled >= LEAST_SHARE:
        why = f"the container was held back by its CPU limit in {throttled:.0%} of the periods"
        # Periods, not time: one that was cut short by a moment counts like one that was lost.
        yield Part("cpu", throttled, of, why, "medium")
    for name, kind in _PRESSURES:
        label = f"pressure_{name}_some"
        own = _percent(evidence, f"own_{label}")
        stalled = own if own is not None else _percent(evidence, label)
        if stalled is not None and stalled >= _STALLED:
            whose = "of the container" if own is not None else "of the machine"
            why = f"some task {whose} waited for {name} in {stalled:.0%} of the window"
            yield Part(kind, stalled, of, why, "high" if own is not None else "medium")
    again = _percent(evidence, "tcp_retransmitted")
    if again is not None and again >= _NETWORK_RETRANSMITS:
        # A segment that is lost costs a round trip and more: what share of time, nobody knows.
        why = f"{again:.1%} of all TCP segments were sent again"
        yield Part("network", again, "all segments sent", why, "low")


def _percent(evidence: Evidence, name: str) -> float | None:
    value = evidence.figure("system", name)
    return None if value is None else value / 100
