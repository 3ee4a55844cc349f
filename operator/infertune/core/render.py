"""How figures and objects are written for people and for digests.

Role: one spelling of a number, a configuration and a JSON text everywhere. Must not know: what a
figure means. Trade-off: rounding here is for eyes and status only; decisions use unrounded values.
"""

import json
from hashlib import sha256

from infertune.api.status import Configuration, Reading
from infertune.core.evidence import Evidence, NoData

_STATUS_DIGITS = 4


def canonical_json(content: object) -> str:
    """Return JSON that is the same bytes for the same content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()


def reading(evidence: Evidence) -> Reading:
    """Return evidence in its status form: rounded, with its interval or the reason for none."""
    if isinstance(evidence, NoData):
        return Reading(reason=f"{evidence.reason}: {evidence.detail}"[:512])
    interval = evidence.interval
    return Reading(
        value=_short(evidence.value),
        unit=evidence.unit,
        low=_short(interval.low) if interval else None,
        high=_short(interval.high) if interval else None,
        level_percent=_short(100 * interval.level) if interval else None,
        samples=evidence.n,
        window_seconds=_short(evidence.window_seconds),
        reason=evidence.no_interval_reason,
    )


def number(value: float) -> str:
    """Return a figure for people: three significant digits, no trailing zeros.

    >>> number(187.34), number(0.04567), number(4.0)
    ('187', '0.0457', '4')
    """
    if abs(value) >= 100:  # noqa: PLR2004  # three digits before the point need none after it
        return f"{value:.0f}"
    return f"{value:.3g}"


def shown(figure: Reading, unit: str = "") -> str:
    """Return a reading for people, with its interval, or a dash when there is none."""
    if figure.value is None:
        return "-"
    text = number(figure.value)
    if figure.low is not None and figure.high is not None:
        text += f" [{number(figure.low)}, {number(figure.high)}]"
    return f"{text} {unit or figure.unit}".strip()


def tag_of(image: str) -> str:
    """Return what tells two images of one repository apart: the tag, or the short digest."""
    if "@" in image:
        return image.rpartition("@")[2][:19]
    last = image.rpartition("/")[2]
    return last.partition(":")[2] or last


def configuration_text(configuration: Configuration) -> str:
    """Return a configuration on one line, e.g. ``batch 8, int8, 2-3 replicas``."""
    batch = configuration.batch_size
    parts = [f"batch {batch if batch is not None else 'default'}", tag_of(configuration.image)]
    parts += [f"{name}={value}" for name, value in sorted((configuration.settings or {}).items())]
    if configuration.min_replicas is not None:
        parts.append(f"{configuration.min_replicas}-{configuration.max_replicas} replicas")
    return ", ".join(parts)


def _short(value: float) -> float:
    return round(value, _STATUS_DIGITS)
