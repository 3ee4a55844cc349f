"""The operator's side of the envelope: find it, check it, and only then believe it.

Load side: pydantic v2, strict, nothing of numpy or aiohttp. It must not know how a measurement
is judged. Everything here reads text that a foreign pod wrote, so sizes are bounded, digests are
compared before anything is parsed, and every refusal is a typed error. Trade-off: unknown fields
are refused, so a new field needs a new schema version rather than silent tolerance.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections import deque
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from infertune_probes.contract.benchmark_result import (
    BenchmarkComparison,  # noqa: TC001  # pydantic reads it
    BenchmarkOverhead,  # noqa: TC001  # pydantic reads it
)
from infertune_probes.contract.envelope import Verdict, worst
from infertune_probes.contract.gpu_result import GpuResult  # noqa: TC001  # pydantic reads it
from infertune_probes.contract.load_result import BenchmarkResult, LoadResult
from infertune_probes.contract.memory_result import MemoryResult  # noqa: TC001  # pydantic needs it
from infertune_probes.contract.profiler_result import ProfilerResult  # noqa: TC001  # pydantic needs it
from infertune_probes.contract.strict import StrictModel
from infertune_probes.contract.system_result import SystemResult  # noqa: TC001  # pydantic reads it
from infertune_probes.contract.versions_result import VersionsResult

if TYPE_CHECKING:
    from collections.abc import Iterator

# A real result has some ten kilobytes; checking this much takes about 35 MB for a moment.
MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
# Each block that names the digest is read in up to 17 ways; a probe writes one.
_MOST_BLOCKS = 8
MAX_SUMMARY_BYTES = 4096

_BEGIN = re.compile(r"^-----BEGIN INFERTUNE RESULT ([0-9a-f]{64})-----$")
_BODY = re.compile(r"^[A-Za-z0-9+/]{1,76}={0,2}$")
_LINE_WIDTH = 76
_SHOWN = 120

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]

Model = TypeVar("Model", bound=StrictModel)


class PayloadError(Exception):
    """A result that cannot be believed; its subclass says in which way."""


class PayloadLost(PayloadError):  # the three names are part of the contract
    """No complete payload with the expected digest stands in the text."""


class PayloadAltered(PayloadError):
    """A payload stands there, but it is not the one that the summary vouches for."""


class PayloadInvalid(PayloadError):
    """The payload is authentic but breaks the schema: which field, what value, and why."""

    def __init__(self, path: str, value: str, why: str) -> None:
        """Keep the dotted field path, the shortened offending value and the sentence."""
        super().__init__(f"{path or 'document'} = {value}: {why}")
        self.path = path
        self.value = value
        self.why = why


class Finding(StrictModel):
    """One judgement of a probe."""

    code: Code
    verdict: Verdict
    evidence: str
    fix: str


class Interval(StrictModel):
    """A confidence interval in the unit of its measurement."""

    low: float
    high: float
    level: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            msg = "low is above high"
            raise ValueError(msg)
        return self


class Measurement(StrictModel):
    """A number with unit and sample count, or None with the reason."""

    name: str
    unit: str
    value: float | None
    interval: Interval | None
    n: Annotated[int, Field(ge=0)]
    reason: str | None

    @model_validator(mode="after")
    def _number_or_reason(self) -> Self:
        if self.value is None and not self.reason:
            msg = "a missing value needs a reason"
            raise ValueError(msg)
        if self.value is None and self.interval is not None:
            msg = "a missing value cannot have an interval"
            raise ValueError(msg)
        return self


class Artifact(StrictModel):
    """A file outside the envelope."""

    name: str
    media_type: str
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256
    uri: str


class Image(StrictModel):
    """The image the probe ran in."""

    reference: str
    digest: str | None


class Host(StrictModel):
    """Facts about the machine as the probe's container sees it; None is not known."""

    hostname: str
    operating_system: str
    kernel: str
    architecture: str
    python: str
    cpu_model: str | None
    cpu_count: int | None
    cpu_limit: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None


class Software(StrictModel):
    """Whose Python and torch were measured; None: there is none, or nobody looked."""

    source: Literal["target", "probes"]
    image: Annotated[str, Field(max_length=512)] | None
    python: Annotated[str, Field(max_length=64)]
    torch: Annotated[str, Field(max_length=64)] | None


class Envelope(StrictModel):
    """One validated probe result."""

    schema_: Literal["infertune.io/probe-result/v1"] = Field(alias="schema")
    probe: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    node: str
    image: Image | None
    started_at: AwareDatetime
    finished_at: AwareDatetime
    host: Host
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    artifacts: tuple[Artifact, ...]
    partial: bool
    result: (
        Annotated[
            LoadResult
            | GpuResult
            | BenchmarkResult
            | BenchmarkComparison
            | BenchmarkOverhead
            | VersionsResult
            | SystemResult
            | ProfilerResult
            | MemoryResult,
            Field(discriminator="kind"),
        ]
        | None
    )
    # Absent in what probes of 0.1.0 wrote.
    pod: Annotated[str, Field(max_length=128)] | None = None
    software: Software | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings; `unknown` when nothing was judged."""
        return worst([finding.verdict for finding in self.findings])

    @property
    def load(self) -> LoadResult | None:
        """The load section, or None when another probe wrote this envelope."""
        return self.result if isinstance(self.result, LoadResult) else None

    @property
    def versions(self) -> VersionsResult | None:
        """The versions section, or None when another probe wrote this envelope."""
        return self.result if isinstance(self.result, VersionsResult) else None

    @model_validator(mode="after")
    def _finished_after_started(self) -> Self:
        if self.finished_at < self.started_at:
            msg = "finishedAt is before startedAt"
            raise ValueError(msg)
        return self


class SummaryFinding(StrictModel):
    """A finding in the summary: evidence may be shortened, the fix is only in the payload."""

    code: Code
    verdict: Verdict
    evidence: str


class Summary(StrictModel):
    """What the termination message says; `sha256` is the digest that `parse_log` needs."""

    schema_: Literal["infertune.io/probe-summary/v1"] = Field(alias="schema")
    probe: str
    node: str
    finished_at: AwareDatetime
    verdict: Verdict
    partial: bool
    sha256: Sha256
    payload_bytes: Annotated[int, Field(ge=0, le=MAX_PAYLOAD_BYTES)]
    findings: tuple[SummaryFinding, ...]
    findings_omitted: Annotated[int, Field(ge=0)]


def parse_summary(text: str) -> Summary:
    """Return the summary that stands in a termination message.

    Raises:
        PayloadLost: the message is empty (the probe was killed before it could write).
        PayloadInvalid: it is not a summary (a log tail, say) or breaks the schema.
    """
    if not text.strip():
        msg = "the termination message is empty"
        raise PayloadLost(msg)
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_SUMMARY_BYTES:
        raise PayloadInvalid("", f"{len(raw)} bytes", f"longer than {MAX_SUMMARY_BYTES} bytes")
    return _validated(Summary, raw)


def parse_envelope(payload: bytes) -> Envelope:
    """Return the envelope of a plain JSON payload (the file that `--output` wrote).

    Raises:
        PayloadInvalid: too large, not JSON, or against the schema.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        why = f"longer than {MAX_PAYLOAD_BYTES} bytes"
        raise PayloadInvalid("", f"{len(payload)} bytes", why)
    return _validated(Envelope, payload)


def parse_log(text: str, expected_sha256: str) -> Envelope:
    """Return the envelope whose payload has the expected digest, found anywhere in a pod log.

    Lines of others may stand before, after and between the lines of the block. Blocks with
    another digest are ignored: only the summary decides which payload counts. Of many blocks with
    this digest the last eight are read: nobody knows it before the payload is written.

    Raises:
        PayloadLost: no such block, or its end is missing.
        PayloadAltered: the block is there but does not decode to the expected digest.
        PayloadInvalid: the payload is authentic but against the schema, or too large to check.
    """
    blocks = deque(_blocks(text, expected_sha256), maxlen=_MOST_BLOCKS)
    if not blocks:
        raise PayloadLost(_why_lost(text, expected_sha256))
    for lines in blocks:
        for encoded in _readings(lines):
            payload = _inflate(encoded)
            if payload is not None and hashlib.sha256(payload).hexdigest() == expected_sha256:
                return _validated(Envelope, payload)
    msg = f"the block in the log does not decode to a payload with SHA-256 {expected_sha256}"
    raise PayloadAltered(msg)


def _blocks(text: str, digest: str) -> Iterator[list[str]]:
    """Yield the lines between each complete pair of sentinels that name the digest."""
    begin, end = (f"-----{word} INFERTUNE RESULT {digest}-----" for word in ("BEGIN", "END"))
    open_block: list[str] | None = None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped == begin:
            open_block = []
        elif stripped == end and open_block is not None:
            yield open_block
            open_block = None
        elif open_block is not None:
            open_block.append(stripped)


def _readings(lines: list[str]) -> Iterator[str]:
    """Yield the ways to read a block, most likely first.

    All lines but the last are exactly 76 characters of base64, so a foreign line is told by its
    length or alphabet. Only a foreign word after the last full line is ambiguous; then each short
    line is tried as the tail, and the digest decides.
    """
    candidates = [line for line in lines if _BODY.match(line) and len(line) <= _LINE_WIDTH]
    full = [line for line in candidates if len(line) == _LINE_WIDTH]
    last_full = max(
        (i for i, line in enumerate(candidates) if len(line) == _LINE_WIDTH), default=-1
    )
    body = "".join(full)
    for tail in candidates[last_full + 1 :][:16]:
        yield body + tail
    yield body


def _inflate(encoded: str) -> bytes | None:
    """Return the decompressed payload, or None when it is not base64 of one whole gzip member.

    Raises:
        PayloadInvalid: it decompresses to more than `MAX_PAYLOAD_BYTES`.
    """
    try:
        packed = base64.b64decode(encoded, validate=True)
        stream = zlib.decompressobj(wbits=31)
        payload = stream.decompress(packed, MAX_PAYLOAD_BYTES + 1)
    except (binascii.Error, zlib.error):
        return None
    if len(payload) > MAX_PAYLOAD_BYTES:
        why = f"decompresses to more than {MAX_PAYLOAD_BYTES} bytes"
        raise PayloadInvalid("", f"{len(packed)} bytes of gzip", why)
    return payload if stream.eof and not stream.unused_data else None


def _why_lost(text: str, digest: str) -> str:
    begun = [found.group(1) for line in text.splitlines() if (found := _BEGIN.match(line.strip()))]
    if digest in begun:
        return f"the log ends inside the payload {digest}"
    if begun:
        return f"the log holds the payload {begun[-1]}, not {digest}"
    return f"the log holds no payload (expected {digest})"


def _validated(model: type[Model], raw: bytes) -> Model:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        shown = repr(first["input"])
        if len(shown) > _SHOWN:
            shown = shown[:_SHOWN] + "..."
        raise PayloadInvalid(path, shown, first["msg"]) from error
