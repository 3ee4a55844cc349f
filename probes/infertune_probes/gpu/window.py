"""A window of samples: collecting it from the child, and what it says per device.

It must not judge. Trade-off: means and extremes are over the samples that were read, with their
number beside them; a field that was never read is absent and not zero. The course over time is
kept for a few fields only, thinned to what a plot can show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infertune_probes.gpu.health import REASONS
from infertune_probes.gpu.stream import Stream
from infertune_probes.gpu.witnesses import announced, parsed, reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A device counts as working in a sample from this use on; below it, links and clocks rest.
LOADED_PERCENT = 20.0
COURSES = (
    "smPercent",
    "memoryControllerPercent",
    "framebufferUsedBytes",
    "powerWatts",
    "temperatureCelsius",
    "smClockMegahertz",
)
_MOST_POINTS = 300
# In an envelope of many devices each has fewer points, so that it stays small.
_MOST_POINTS_OF_ALL = 2400


@dataclass(frozen=True)
class Statistics:
    """What the samples of one field were; `n` is how many were read."""

    n: int
    minimum: float
    mean: float
    maximum: float

    def to_json(self) -> dict[str, object]:
        """Return the statistics as a JSON object."""
        return {
            "n": self.n,
            "minimum": self.minimum,
            "mean": round(self.mean, 4),
            "maximum": self.maximum,
        }


def statistics_of(values: list[float]) -> Statistics | None:
    """Return the statistics of the values that were read; None when none was."""
    if not values:
        return None
    return Statistics(len(values), min(values), sum(values) / len(values), max(values))


@dataclass(frozen=True)
class DeviceSample:
    """One device at one moment."""

    at_seconds: float
    index: int
    values: Mapping[str, float]
    counters: Mapping[str, int]
    reasons: int | None
    users: tuple[Mapping[str, object], ...]
    use: tuple[Mapping[str, object], ...]
    error: str | None


@dataclass
class Window:
    """What was watched; filled while it lasts, so that an early end keeps what there is."""

    interval_seconds: float
    samples: list[DeviceSample] = field(default_factory=list)
    ticks: int = 0
    seconds: float = 0.0
    failure: str | None = None
    hung: bool = False
    during: str | None = None

    def of(self, index: int) -> list[DeviceSample]:
        """Return the samples of one device in which it answered."""
        return [s for s in self.samples if s.index == index and s.error is None]

    @property
    def indices(self) -> list[int]:
        """The devices that were watched."""
        return sorted({sample.index for sample in self.samples})


def watch(
    window: Window, count: int, deadline_seconds: float
) -> Iterator[tuple[float, list[DeviceSample]]]:
    """Yield the samples tick by tick and keep them in `window`; `count` 0 watches for ever."""
    command = reader("samples", repr(window.interval_seconds), str(count))
    calling: dict[str, object] = {}
    ended = False
    with Stream(command, window.interval_seconds + deadline_seconds) as stream:
        for line in stream.lines():
            words = parsed(line)
            if "calling" in words:
                calling = words
            elif isinstance(words.get("sample"), dict):
                at, found = _tick(words["sample"])  # type: ignore[arg-type]
                window.ticks += 1
                window.seconds = at
                window.samples += found if count else []
                yield at, found
            elif "error" in words:
                window.failure = str(words["error"])
            elif "done" in words:
                ended = True
    if not ended:
        window.failure = stream.failure or window.failure or "ended early"
        window.hung = stream.hung
        window.during = announced(calling)


def _tick(sample: Mapping[str, object]) -> tuple[float, list[DeviceSample]]:
    at = _float(sample.get("atSeconds"))
    devices = sample.get("devices")
    listed = devices if isinstance(devices, list) else []
    return at, [_device(at, each) for each in listed if isinstance(each, dict)]


def _device(at: float, said: Mapping[str, object]) -> DeviceSample:
    values, counters = said.get("values"), said.get("counters")
    reasons, error = said.get("eventReasons"), said.get("error")
    return DeviceSample(
        at_seconds=at,
        index=int(_float(said.get("index"))),
        values=values if isinstance(values, dict) else {},
        counters=counters if isinstance(counters, dict) else {},
        reasons=reasons if isinstance(reasons, int) else None,
        users=_rows(said.get("users")),
        use=_rows(said.get("use")),
        error=None if error is None else str(error),
    )


def values_of(samples: list[DeviceSample], name: str) -> list[float]:
    """Return the values of a field that were read, in order."""
    return [sample.values[name] for sample in samples if name in sample.values]


def loaded(samples: list[DeviceSample]) -> list[DeviceSample]:
    """Return the samples in which the device worked."""
    return [s for s in samples if s.values.get("smPercent", 0.0) >= LOADED_PERCENT]


def growth(samples: list[DeviceSample], name: str) -> int | None:
    """Return by how much a counter grew; None when it was read less than twice.

    A counter that went back was reset (the driver was loaded anew): it grew by what it has now.
    """
    counts = [sample.counters[name] for sample in samples if name in sample.counters]
    if len(counts) <= 1:
        return None
    pairs = zip(counts, counts[1:])  # noqa: B905, RUF007  # Python 3.8
    return sum(later - earlier if later >= earlier else later for earlier, later in pairs)


def held_back_percent(samples: list[DeviceSample], name: str) -> float | None:
    """Return the share of the window in which a violation held the clocks back."""
    nanoseconds = growth(samples, name)
    if nanoseconds is None:
        return None
    seconds = samples[-1].at_seconds - samples[0].at_seconds
    return None if seconds <= 0 else min(100.0, nanoseconds / 1e7 / seconds)


def reason_shares(samples: list[DeviceSample]) -> dict[str, float]:
    """Return in which share of the samples each clock event reason was active."""
    told = [sample.reasons for sample in samples if sample.reasons is not None]
    shares = {
        words: sum(1 for bits in told if bits & bit) / len(told)
        for bit, words in REASONS.items()
        if told
    }
    return {words: round(share, 4) for words, share in shares.items() if share}


def device_window(window: Window, index: int) -> dict[str, object]:
    """Return one device's part of the result section."""
    samples = window.of(index)
    names = sorted({name for sample in samples for name in sample.values})
    fields = {name: statistics_of(values_of(samples, name)) for name in names}
    return {
        "index": index,
        "samples": len(samples),
        "fields": {name: told.to_json() for name, told in fields.items() if told is not None},
        "reasonShares": reason_shares(samples),
        "powerViolationPercent": held_back_percent(samples, "powerViolationNanoseconds"),
        "thermalViolationPercent": held_back_percent(samples, "thermalViolationNanoseconds"),
        "grown": {
            name: grown
            for name in ("eccCorrected", "eccUncorrected", "pcieReplays")
            for grown in [growth(samples, name)]
            if grown is not None
        },
        "courses": _courses(samples, len(window.indices)),
    }


def _courses(samples: list[DeviceSample], devices: int) -> dict[str, list[list[float]]]:
    most = min(_MOST_POINTS, max(1, _MOST_POINTS_OF_ALL // devices))
    step = max(1, -(-len(samples) // most))
    courses = {
        name: [
            [round(sample.at_seconds, 2), sample.values[name]]
            for sample in samples[::step]
            if name in sample.values
        ]
        for name in COURSES
    }
    return {name: points for name, points in courses.items() if points}


def _rows(value: object) -> tuple[Mapping[str, object], ...]:
    return tuple(row for row in value if isinstance(row, dict)) if isinstance(value, list) else ()


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
