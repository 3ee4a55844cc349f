"""How a run is told: a table for people, JSON for later.

Role: figures in, text out. It must not know how they were measured. Its trade-off: the machine and
the command stand beside the figures, because an idle cost means nothing without them.
"""

import dataclasses
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.idle.figures import CPU_LIMIT_PERCENT, MEMORY_LIMIT_MEGABYTES, Figures

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Setting:
    """What was measured: the size of the stage and how long it settled."""

    started: datetime
    command: str
    tunings: int
    histograms: int
    settle_seconds: float
    operator_image_key: str
    watched: int


def machine() -> dict[str, str | int]:
    """Return what figures of this machine depend on."""
    models = _values(CPU_INFO, "model name")
    memory = _values(MEMORY_INFO, "MemTotal")
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory": memory[0] if memory else "unknown",
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def table(setting: Setting, figures: Figures) -> str:
    """Return the figures as a Markdown table."""
    kubelet = figures.kubelet
    limit = f"< {CPU_LIMIT_PERCENT:g} %"
    memory_limit = f"< {MEMORY_LIMIT_MEGABYTES:g} MB"
    rows = [
        ("figure", "limit", "measured"),
        ("---", "---", "---"),
        ("stable tunings, each seen in its own live figures", "", f"{setting.watched}"),
        ("window, after settling", "", f"{figures.seconds:.0f} s, {setting.settle_seconds:.0f} s"),
        ("CPU of one core, mean (kernel)", limit, f"{figures.cpu_percent:.2f} %"),
        ("CPU of one core, mean (kubelet)", limit, _or_unknown(kubelet.cpu_percent, "%")),
        ("CPU, highest step between two looks", "", f"{figures.highest_step_cpu_percent:.2f} %"),
        ("resident memory, mean", "", f"{figures.resident_megabytes:.1f} MB"),
        ("resident memory, highest", memory_limit, f"{figures.highest_resident_megabytes:.1f} MB"),
        ("resident memory, peak since start", "", f"{figures.peak_resident_megabytes:.1f} MB"),
        ("working set, mean (kubelet)", "", _or_unknown(kubelet.working_set_megabytes, "MB")),
        (
            "working set, highest (kubelet)",
            memory_limit,
            _or_unknown(kubelet.highest_working_set_megabytes, "MB"),
        ),
        ("reconciles per minute", "", _by(figures.reconciles)),
        ("requests to the API server per minute, watches apart", "", _by(figures.api_requests)),
        ("about tunings, as the API server counts", "", _by(figures.api_server_saw)),
        ("Prometheus queries per minute", "", _by(figures.prometheus_queries)),
        ("as Prometheus counts", "", f"{figures.prometheus_saw:.1f}"),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def keep(setting: Setting, figures: Figures, path: Path) -> None:
    """Write the run as JSON."""
    record = {
        "setting": dataclasses.asdict(setting),
        "machine": machine(),
        "figures": dataclasses.asdict(figures),
        "kept": figures.kept,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")


def _or_unknown(value: float | None, unit: str) -> str:
    return "not told" if value is None else f"{value:.2f} {unit}"


def _by(rates: Mapping[str, float]) -> str:
    if not rates:
        return "none"
    parts = ", ".join(f"{name or 'all'} {rate:.1f}" for name, rate in sorted(rates.items()))
    return f"{sum(rates.values()):.1f} ({parts})"


def _values(path: Path, name: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for key, _, value in pairs if key.strip() == name]
