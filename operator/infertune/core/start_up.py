"""Where the start of a trial's server went: waiting, pull and start, load, first answer.

Role: phases out of what pods and the load probe say anyway. Must not know: requests, budgets.
Trade-off: no Event is read for it, so the pull stands together with the start of the container; and
two clocks meet (the node's and the probe's), so a phase that comes out negative is not known.
"""

from datetime import datetime, timedelta

from infertune.api.start_up import StartUp
from infertune.api.status import TrialRecord
from infertune.core.snapshot import JobView, PodTimes
from infertune.core.trials import TrialJobs
from infertune_probes.contract.load import Envelope
from infertune_probes.contract.start_up import devel_base, startup_split

_PULL = "pull alone: the kubelet tells it only in Events, which are not read"
_NOT_STARTED = "load, first answer: the container's first start is not told"
_EARLY = "first answer alone: it came before the kubelet found the server ready, as part of load"
_NOT_ASKED = "first answer: there is no HTTP readiness path to ask, or no result"
_NEVER = "load, first answer: the server never answered"
_FLAPPED = "load, first answer: readiness came and went, and no HTTP readiness path tells more"
_CLOCKS = "load, first answer: the times contradict each other, by clocks that differ"
_DIGITS = 1


def start_up_of(jobs: TrialJobs, container: str) -> StartUp | None:
    """Return the phases of the server's start; None as long as no pod tells any time."""
    server = jobs.server
    if server is None or server.times is None or server.times == PodTimes(None, None, {}):
        return None
    times = server.times
    started = times.started.get(container)
    loaded, answered, why = _ends(times, started, jobs.load)
    marks = {"started": started, "ready": loaded, "answered": answered}
    split = startup_split({name: at.timestamp() for name, at in marks.items() if at is not None})
    whole = why in {_EARLY, _NOT_ASKED} or split["first_answer"] is not None
    if loaded is not None and not (whole and split["load"] is not None):
        why = _CLOCKS
    ends = [at for at in (times.scheduled, *marks.values()) if at is not None]
    return StartUp(
        wait_seconds=_between(server.created_at, times.scheduled),
        pull_and_start_seconds=_between(times.scheduled, started),
        load_seconds=_rounded(split["load"]),
        first_answer_seconds=_rounded(split["first_answer"]),
        total_seconds=_between(server.created_at, max(ends)) if ends else None,
        unknown="; ".join(part for part in (_PULL, why) if part),
    )


def with_real_start(record: TrialRecord) -> TrialRecord:
    """Return the record with the seconds from the container's start to the first answer.

    The load probe alone counts from its own first try, which is later by its own start.
    """
    seen = record.start_up
    if record.startup_seconds is None or seen is None or seen.load_seconds is None:
        return record
    seconds = seen.load_seconds + (seen.first_answer_seconds or 0.0)
    return record.model_copy(update={"startup_seconds": max(seconds, record.startup_seconds)})


def _ends(
    times: PodTimes, started: datetime | None, load: JobView | None
) -> tuple[datetime | None, datetime | None, str | None]:
    """Return when the server was loaded, when it answered, and what cannot be told of that."""
    if started is None:
        return None, None, _NOT_STARTED
    ready, answered = times.ready, _answered(load)
    if answered is not None and (ready is None or answered < ready):
        return answered, None, _EARLY
    if answered is not None:
        return ready, answered, None
    if ready is None:
        return None, None, _NEVER
    if load is not None and ready > load.created_at:
        return None, None, _FLAPPED
    return ready, None, _NOT_ASKED


def _answered(load: JobView | None) -> datetime | None:
    """Return when the load probe got its first good answer, by its own clock."""
    if load is None or not isinstance(load.result, Envelope) or load.result.load is None:
        return None
    startup = load.result.load.startup
    if startup is None or not startup.ready:
        return None
    return load.result.started_at + timedelta(seconds=startup.seconds)


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None or end < begin:
        return None
    return _rounded((end - begin).total_seconds())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, _DIGITS)


def devel_note(image: str) -> str:
    """Return what to say after a sentence on an image with a `-devel` base; else nothing."""
    base = devel_base({"image": image})
    return (
        "" if base is None else f"; {image} is on a -devel base, pulled at each start: {base.fix}"
    )
