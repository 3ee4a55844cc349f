"""A run, kept: its figures as JSON and its table as Markdown.

Role: one run in, two files out. It must not know how the run went. Its trade-off: a run that ended
badly is kept as well, under the next free number, so that a folder of runs has no holes.
"""

import dataclasses
import json
import os
import platform
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from demo.comparison import as_markdown, compare
from demo.observation import Observation, Price, costs
from demo.time_use import TimeUse
from infertune.api.status import TuningStatus


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Everything that is kept of a run; what was not reached is None."""

    started: datetime
    total_seconds: float
    outcome: str
    price: Price
    story: tuple[str, ...]
    before: Observation | None
    after: Observation | None
    time_use: TimeUse | None
    setup_seconds: dict[str, float]
    status: TuningStatus | None


def next_number(folder: Path) -> int:
    """Return the number after the highest one in a folder; 1 for an empty one."""
    taken = [int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit()]
    return max(taken, default=0) + 1


def keep(run: Run, folder: Path) -> tuple[Path, Path]:
    """Write both files under the next number and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{next_number(folder):02d}"
    record, page = folder / f"{stem}.json", folder / f"{stem}.md"
    record.write_text(json.dumps(plain(run), indent=1) + "\n", encoding="utf-8")
    page.write_text(render(run, stem), encoding="utf-8")
    return record, page


def plain(value: object) -> Any:  # noqa: ANN401  # JSON has no narrower type
    """Return a value as JSON knows it; dataclasses and models become mappings."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def render(run: Run, title: str) -> str:
    """Return the page of a run."""
    parts = [f"# Demo run {title}\n", _facts(run)]
    if run.before and run.after:
        parts.append(f"{as_markdown(compare(run.before, run.after, run.price))}")
        parts.append(_agreements(run.before, run.after))
        cost_before, cost_after = costs(run.before, run.price), costs(run.after, run.price)
        currency = f"Cost by {run.price.replica_hourly} {run.price.currency} per replica-hour"
        if cost_before.per_qps_hour.value and cost_after.per_qps_hour.value:
            parts.append(f"{currency}, as declared in `examples/demo.yaml`.\n")
    if run.time_use:
        parts.append(f"Time: {run.time_use.sentence()}.\n")
    steps = "\n".join(f"* {name}: {seconds:.1f} s" for name, seconds in run.setup_seconds.items())
    parts.append(f"## Steps\n\n{steps}\n")
    lines = "\n".join(run.story)
    parts.append(f"## Story\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def _facts(run: Run) -> str:
    cores = os.cpu_count()
    started = run.started.isoformat(timespec="seconds")
    machine = f"{cores} cores, {platform.machine()}, {platform.system()}"
    return (
        f"Started {started}, {run.total_seconds:.0f} s in all, on {machine}. "
        f"Outcome: {run.outcome}.\n"
    )


def _agreements(before: Observation, after: Observation) -> str:
    lines = [
        f"* {when}, {one.sentence()}"
        for when, side in (("before", before), ("after", after))
        for one in side.agreements()
    ]
    return "\n".join(
        ["Client and Prometheus over the same window, answered requests:\n", *lines, ""]
    )
