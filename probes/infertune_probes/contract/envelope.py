"""The values a probe fills in, and how they become JSON.

Emit side: standard library only, Python 3.8 at run time (hence no dataclass slots). It must not
know how a result is judged or who reads it. Trade-off: the probe-specific `result` section is a
plain JSON object here; its shape is checked on the load side, where pydantic is at hand.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = "infertune.io/probe-result/v1"
SUMMARY_SCHEMA = "infertune.io/probe-summary/v1"

Verdict = Literal["pass", "warn", "fail", "unknown"]
# Worst first. Unknown ranks above warn: a probe that could not look must never read as a look
# that found something harmless.
SEVERITY: Sequence[Verdict] = ("fail", "unknown", "warn", "pass")


@dataclass(frozen=True)
class Finding:
    """One judgement: a stable code, the verdict, the evidence for it and what to do about it."""

    code: str
    verdict: Verdict
    evidence: str
    fix: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the finding as a JSON object."""
        return {
            "code": self.code,
            "verdict": self.verdict,
            "evidence": self.evidence,
            "fix": self.fix,
        }


@dataclass(frozen=True)
class Interval:
    """A confidence interval in the unit of its measurement; `level` is in (0, 1)."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Measurement:
    """A number with its unit and sample count, or no number and the reason why."""

    name: str
    unit: str
    value: float | None
    n: int
    interval: Interval | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the measurement as a JSON object."""
        interval = self.interval
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "interval": None
            if interval is None
            else {"low": interval.low, "high": interval.high, "level": interval.level},
            "n": self.n,
            "reason": self.reason,
        }


def measured(
    name: str, unit: str, value: float, n: int, interval: Interval | None = None
) -> Measurement:
    """Return a measurement; a value that is not finite becomes a missing one with its reason."""
    if not math.isfinite(value):
        return unmeasured(name, unit, "the measured value is not finite: " + repr(value), n)
    return Measurement(name, unit, value, n, interval)


def unmeasured(name: str, unit: str, reason: str, n: int = 0) -> Measurement:
    """Return a measurement that holds no number, only the reason for its absence."""
    return Measurement(name, unit, None, n, None, reason)


@dataclass(frozen=True)
class Artifact:
    """A file that is too large for the envelope: where it lies, how large, and its digest."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    uri: str

    def to_json(self) -> dict[str, object]:
        """Return the artifact as a JSON object."""
        return {
            "name": self.name,
            "mediaType": self.media_type,
            "sizeBytes": self.size_bytes,
            "sha256": self.sha256,
            "uri": self.uri,
        }


@dataclass(frozen=True)
class Image:
    """The container image the probe ran in; `digest` is None when nobody told the probe."""

    reference: str
    digest: str | None


@dataclass(frozen=True)
class Software:
    """Whose Python and torch were measured: the target's own image, or the probe image's stack.

    `torch` is None when there is none, or when nobody looked.
    """

    source: Literal["target", "probes"]
    image: str | None
    python: str
    torch: str | None

    def to_json(self) -> dict[str, object]:
        """Return the software as a JSON object."""
        return {
            "source": self.source,
            "image": self.image,
            "python": self.python,
            "torch": self.torch,
        }


@dataclass(frozen=True)
class Envelope:
    """Everything one run of a probe has to say. Times are RFC 3339 in UTC.

    `pod` is the UID of the pod that ran it, so that a result of another pod is told from its own.
    """

    probe: str
    node: str
    image: Image | None
    started_at: str
    finished_at: str
    host: dict[str, object]
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    partial: bool = False
    result: dict[str, object] | None = None
    pod: str | None = None
    software: Software | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings; `unknown` when there is no finding at all."""
        return worst([finding.verdict for finding in self.findings])

    def to_json(self) -> dict[str, object]:
        """Return the whole envelope as a JSON object, camelCase as on the wire."""
        image = self.image
        return {
            "schema": SCHEMA,
            "probe": self.probe,
            "node": self.node,
            "image": None
            if image is None
            else {"reference": image.reference, "digest": image.digest},
            "startedAt": self.started_at,
            "finishedAt": self.finished_at,
            "host": self.host,
            "findings": [finding.to_json() for finding in self.findings],
            "measurements": [measurement.to_json() for measurement in self.measurements],
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "partial": self.partial,
            "result": self.result,
            "pod": self.pod,
            "software": None if self.software is None else self.software.to_json(),
        }


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the most severe of the verdicts; nothing judged is `unknown`, never `pass`."""
    for verdict in SEVERITY:
        if verdict in verdicts:
            return verdict
    return "unknown"


def serialise(envelope: Envelope) -> bytes:
    """Return the canonical payload: compact UTF-8 JSON with sorted keys; the digest is over it.

    Raises:
        ValueError: when a number anywhere in the envelope is NaN or infinite.
    """
    text = json.dumps(envelope.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")
