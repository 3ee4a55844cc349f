"""Notes clock, power, temperature and event reasons of the GPUs while they work.

It must not judge. Asked of `nvidia-smi` in a child behind a deadline, about once a second, from a
thread. Trade-off: a process a second beside the measurement costs a little CPU and nothing on the
device; without nvidia-smi nothing is noted, and the reason is kept.
"""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass

from infertune_probes.contract.child import ask

_FIELDS = (
    "index,clocks.sm,power.draw,temperature.gpu,clocks_throttle_reasons.active,"
    "enforced.power.limit,power.default_limit"
)
_DEADLINE_SECONDS = 5.0
_INTERVAL_SECONDS = 1.0
_COLUMNS = 7
# NVML's clock event reasons that a setting and no defect brings about.
_LOCKED, _POWER_CAP = 0x02, 0x04
_TOLERANCE_WATTS = 1.0


@dataclass(frozen=True)
class Reading:
    """One device at one moment; None: the driver does not tell."""

    index: int
    clock_mhz: float | None
    power_watts: float | None
    temperature_celsius: float | None
    reasons: int | None
    limit_watts: float | None = None
    default_limit_watts: float | None = None


@dataclass(frozen=True)
class Noted:
    """One device over the run: medians under work, and every event reason that was seen."""

    index: int
    clock_mhz: float | None
    power_watts: float | None
    temperature_celsius: float | None
    event_reasons: int | None
    readings: int
    limit_watts: float | None = None
    default_limit_watts: float | None = None

    @property
    def setting(self) -> str | None:
        """What somebody set that held the clocks back; None: nothing, or it is not told."""
        reasons = self.event_reasons or 0
        limit, usual = self.limit_watts, self.default_limit_watts
        lowered = limit is not None and usual is not None and limit < usual - _TOLERANCE_WATTS
        if lowered and reasons & _POWER_CAP:
            return f"its power limit was lowered to {limit:g} of {usual:g} W and held it back"
        if reasons & _LOCKED:
            return "application or locked clocks held it back"
        return None

    def to_json(self) -> dict[str, object]:
        """Return the notes as a JSON object."""
        return {
            "index": self.index,
            "clockMhz": self.clock_mhz,
            "powerWatts": self.power_watts,
            "temperatureCelsius": self.temperature_celsius,
            "eventReasons": self.event_reasons,
            "readings": self.readings,
            "limitWatts": self.limit_watts,
            "defaultLimitWatts": self.default_limit_watts,
        }


class Notes:
    """Reads in a thread until it is left; `reason` says why there is nothing."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self.readings: list[Reading] = []
        self.reason: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Notes:  # noqa: PYI034  # Self is Python 3.11
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; a child that hangs is left to its deadline."""
        self._over.set()
        self._thread.join(_DEADLINE_SECONDS)

    def _read(self) -> None:
        command = ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
        while not self._over.wait(_INTERVAL_SECONDS):
            heard = ask(command, _DEADLINE_SECONDS)
            if heard.text is None:
                self.reason = heard.reason
                return
            self.readings += parse(heard.text)


def parse(text: str) -> list[Reading]:
    """Return the readings of one answer; "[N/A]" and the like are None."""
    found = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == _COLUMNS and words[0].isdigit():
            clock, power, heat = (_number(word) for word in words[1:4])
            limits = (_number(word) for word in words[5:])
            found.append(Reading(int(words[0]), clock, power, heat, _bits(words[4]), *limits))
    return found


def note(readings: list[Reading]) -> list[Noted]:
    """Return one line for each device; readings at rest (under half the power) are left out."""
    found = []
    for index in sorted({reading.index for reading in readings}):
        own = [reading for reading in readings if reading.index == index]
        most = max((r.power_watts for r in own if r.power_watts is not None), default=None)
        if most is not None:
            own = [r for r in own if r.power_watts is not None and r.power_watts >= most / 2]
        reasons = [r.reasons for r in own if r.reasons is not None]
        seen = 0
        for bits in reasons:
            seen |= bits
        found.append(
            Noted(
                index=index,
                clock_mhz=_median([r.clock_mhz for r in own]),
                power_watts=_median([r.power_watts for r in own]),
                temperature_celsius=_median([r.temperature_celsius for r in own]),
                event_reasons=seen if reasons else None,
                readings=len(own),
                limit_watts=_median([r.limit_watts for r in own]),
                default_limit_watts=_median([r.default_limit_watts for r in own]),
            )
        )
    return found


def setting_of_busiest(readings: list[Reading]) -> str | None:
    """Return what holds back the device that draws most: torch may number devices differently."""
    noted = [one for one in note(readings) if one.power_watts is not None]
    busiest = max(noted, key=lambda one: one.power_watts or 0.0, default=None)
    return None if busiest is None else busiest.setting


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _bits(word: str) -> int | None:
    try:
        return int(word, 16)
    except ValueError:
        return None
