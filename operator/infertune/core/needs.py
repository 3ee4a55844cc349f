"""What a tick has to look at, by state: so that a stable tuning costs almost nothing.

Role: tell ``observe`` which parts of the snapshot this state needs. Must not know: how they are
fetched. Trade-off: one small table more, against reading a whole namespace for every tick.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from infertune.api.spec import TuningSpec
from infertune.api.status import StateName, TuningStatus
from infertune.core.expected_load import expected_load
from infertune.core.manifests.naming import FINALIZER
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.slo import block_requests
from infertune.core.snapshot import TuningView
from infertune.core.states.unread_spec import goes_back_unread
from infertune.core.trial_basis import answers_this_spec

BASELINE_WINDOW_SCRAPES = 30
MIN_BASELINE_WINDOW_SECONDS = 60
MAX_VERIFICATION_WINDOW_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """The window of live traffic to ask for; blocks hold at least ``block_requests``."""

    start: datetime
    end: datetime
    block_requests: int


@dataclass(frozen=True, slots=True)
class Needs:
    """Parts of the snapshot that this tick needs."""

    target: bool = False
    autoscaler: bool = False
    jobs: bool = False
    copies: bool = False
    selectors: bool = False
    surroundings: bool = False
    slot: bool = False
    lender: bool = False
    config_maps: tuple[str, ...] = ()
    live: LiveWindow | None = None
    watch: bool = False
    limits: bool = False
    switches: bool = False


_BY_STATE: dict[StateName, Needs] = {
    "Pending": Needs(target=True, autoscaler=True, jobs=True),
    "Probing": Needs(target=True, autoscaler=True, jobs=True),
    "Searching": Needs(
        target=True, autoscaler=True, jobs=True, selectors=True, surroundings=True, slot=True
    ),
    "Deciding": Needs(target=True, autoscaler=True, jobs=True, switches=True),
    "Applying": Needs(target=True, autoscaler=True, copies=True),
    "Verifying": Needs(target=True, autoscaler=True),
    "RollingBack": Needs(target=True, autoscaler=True),
    "Stable": Needs(watch=True),
    "Halted": Needs(watch=True),
}
# What trials send and compare with is part of what they measure: it is read as long as it counts.
_MEASURING: frozenset[StateName] = frozenset({"Pending", "Probing", "Searching", "Deciding"})


def needs(tuning: TuningView, now: datetime) -> Needs:
    """Return what to observe. An invalid spec needs nothing; a deleted one its open rollout."""
    borrowed = tuning.status.borrowed is not None
    if not isinstance(tuning.spec, TuningSpec):
        back = goes_back_unread(tuning)
        return Needs(target=back, autoscaler=back, jobs=borrowed, lender=borrowed)
    state = tuning.status.state
    if not answers_this_spec(tuning) and state not in ROLLOUT_OPEN:
        state = "Pending"
    base = _BY_STATE[state]
    closing = FINALIZER in tuning.finalizers
    return Needs(
        target=base.target or closing,
        autoscaler=base.autoscaler or closing,
        jobs=base.jobs or borrowed,
        copies=base.copies,
        lender=borrowed,
        selectors=base.selectors or _profiles(state, tuning.spec),
        surroundings=base.surroundings,
        slot=base.slot,
        config_maps=_config_maps(tuning.spec) if state in _MEASURING else (),
        live=_live_window(tuning.spec, tuning.status, now),
        watch=base.watch,
        limits=_may_begin(tuning.spec, tuning.status),
        switches=base.switches and tuning.spec.mode == "Apply",
    )


def _may_begin(spec: TuningSpec, status: TuningStatus) -> bool:
    """Whether this tick may open a rollout, so that what stands against it has to be read."""
    decided = status.state == "Deciding" and status.recommendation is not None
    return decided and spec.mode == "Apply"


def _profiles(state: StateName, spec: TuningSpec) -> bool:
    """Whether a copy of the target's pod is about to be made for a profile."""
    return state == "Probing" and spec.probes.profiler is not None


def _config_maps(spec: TuningSpec) -> tuple[str, ...]:
    names = []
    if spec.load.payload_ref is not None:
        names.append(spec.load.payload_ref.config_map)
    if spec.quality is not None:
        names.append(spec.quality.golden_config_map)
    return tuple(names)


def _live_window(spec: TuningSpec, status: TuningStatus, now: datetime) -> LiveWindow | None:
    requests = block_requests(expected_load(status) if status.state == "Verifying" else None)
    if status.state == "Pending":
        seconds = max(
            MIN_BASELINE_WINDOW_SECONDS,
            BASELINE_WINDOW_SCRAPES * spec.metrics.scrape_interval_seconds,
        )
        return LiveWindow(now - timedelta(seconds=seconds), now, requests)
    rollout = status.rollout
    if status.state == "Verifying" and rollout is not None and rollout.applied_at is not None:
        settled = rollout.applied_at + timedelta(
            seconds=spec.rollout.warmup_seconds + 2 * spec.metrics.scrape_interval_seconds
        )
        if now <= settled:
            return None
        longest = timedelta(seconds=MAX_VERIFICATION_WINDOW_SECONDS)
        return LiveWindow(max(settled, now - longest), now, requests)
    return None
