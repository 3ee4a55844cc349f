"""The status of an ``InferenceTuning``: what the operator answers, bounded in size.

Role: everything the next tick of the operator, or the next operator, needs to go on; and what an
admin reads. Must not know: how a value was measured. Trade-off: intent, previous values and trials
live here and not in memory, so a status write precedes every step and a crash costs nothing.
Every field has a default: a status written by an older version still loads.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from infertune.api.argument_lists import LONGEST_LIST, ArgumentList, kept_where_they_differ
from infertune.api.device_status import TrialDevices
from infertune.api.fields import ShortText, StatusModel
from infertune.api.node_status import ProbeSummary, RejectedImage
from infertune.api.start_up import StartUp

StateName = Literal[
    "Pending",
    "Probing",
    "Searching",
    "Deciding",
    "Applying",
    "Verifying",
    "RollingBack",
    "Stable",
    "Halted",
]
VerdictName = Literal["Pass", "Fail", "Inconclusive"]
TrialPhase = Literal["Running", "Completed", "Failed", "Invalid"]
MAX_TRIALS_KEPT = 64


class Reading(StatusModel):
    """One measured figure, or the reason why there is none: a missing figure is never zero."""

    value: float | None = Field(None, description="The figure; absent when reason is set.")
    unit: str = Field("", description="Unit of value, low and high.")
    low: float | None = Field(None, description="Lower bound of the interval.")
    high: float | None = Field(None, description="Upper bound of the interval.")
    level_percent: float | None = Field(None, description="Confidence level of the interval.")
    samples: int = Field(0, description="How many requests or scrapes stand behind the figure.")
    window_seconds: float = Field(0, description="Length of the observed window.")
    reason: str | None = Field(None, description="Why there is no figure, or no interval.")


class Configuration(StatusModel):
    """One setting of all knobs. An absent batch size is the server's own default."""

    batch_size: int | None = Field(None, description="Batch cap; absent is the server's default.")
    image: str = Field("", description="Image of the serving container.")
    min_replicas: int | None = Field(None, description="Lower replica bound.")
    max_replicas: int | None = Field(None, description="Upper replica bound.")
    settings: dict[str, str] | None = Field(
        None,
        max_length=8,
        description="Value of each declared setting by its name; a missing one is not set at all.",
    )


class LiveFigures(StatusModel):
    """What Prometheus says of live traffic over one window."""

    p50: Reading = Field(default_factory=Reading, description="Median latency.")
    p95: Reading = Field(default_factory=Reading, description="95th percentile of latency.")
    p99: Reading = Field(default_factory=Reading, description="99th percentile of latency.")
    over_slo_percent: Reading = Field(
        default_factory=Reading, description="Share of requests slower than the promise, or failed."
    )
    request_rate: Reading = Field(default_factory=Reading, description="Requests per second.")
    error_percent: Reading = Field(default_factory=Reading, description="Share of failed requests.")
    cpu_cores: Reading = Field(
        default_factory=Reading, description="CPU used by the pods together."
    )
    memory_bytes: Reading = Field(
        default_factory=Reading, description="Memory used by the pods together."
    )
    balance: Reading = Field(default_factory=Reading, description="Requests per pod: mean/max.")
    uneven: ShortText | None = Field(None, description="Who has more than its share, why, a fix.")
    pods: int = Field(0, description="How many pods the figures come from.")
    observed_at: datetime | None = Field(None, description="End of the window.")


class TargetFacts(StatusModel):
    """The target as it was resolved."""

    kind: str = Field("", description="Kind of the workload.")
    name: str = Field("", description="Name of the workload.")
    uid: str = Field("", description="UID of the workload.")
    container: str = Field("", description="Container that serves the model.")
    autoscaler: str | None = Field(None, description="HorizontalPodAutoscaler that scales it.")
    autoscaler_uid: str | None = Field(None, description="UID of that autoscaler.")
    nodes: tuple[str, ...] = Field((), max_length=16, description="Nodes that were probed.")


class RateLevel(StatusModel):
    """One request rate of a trial's ladder."""

    offered_rate: float = Field(0, description="Requests per second offered to one replica.")
    achieved_rate: float = Field(0, description="Requests per second answered well.")
    p95: Reading = Field(default_factory=Reading, description="95th percentile of latency.")
    over_slo_percent: Reading = Field(
        default_factory=Reading, description="Share of requests slower than the promise, or failed."
    )
    error_percent: float = Field(0, description="Share of failed requests, in percent.")
    verdict: VerdictName = Field("Inconclusive", description="Does this rate keep the promise?")
    reason: str | None = Field(None, description="Why the verdict is not Pass.")


class TrialRecord(StatusModel):
    """One server start of one candidate, and the ladder of request rates on it."""

    name: str = Field("", description="Name of the trial's Jobs, without suffix.")
    candidate: Configuration = Field(
        default_factory=Configuration, description="What the trial server ran with."
    )
    phase: TrialPhase = Field("Running", description="How far the trial is.")
    rates: tuple[float, ...] = Field((), max_length=8, description="The ladder that was planned.")
    reason: str | None = Field(None, description="Why the trial failed or is invalid.")
    message: ShortText | None = Field(None, description="The same, as a sentence.")
    startup_seconds: float | None = Field(
        None, description="From the container's start to the first answer."
    )
    start_up: StartUp | None = Field(None, description="Where its start went, in seconds.")
    quality_drop_percent: float | None = Field(
        None, description="Share of golden requests answered wrongly; absent: not checked."
    )
    levels: tuple[RateLevel, ...] = Field((), max_length=8, description="Measured rates.")
    knee_rate: float | None = Field(
        None, description="Highest measured rate of one replica that keeps the promise."
    )
    load_seconds: float = Field(0, description="Seconds of load after warm-up.")
    node: str | None = Field(None, description="Node that the trial server ran on.")
    node_kind: str | None = Field(
        None, description="GPU product or instance type of that node, where a label says it."
    )
    image_id: str | None = Field(None, description="What the serving container really ran.")
    devices: TrialDevices | None = Field(None, description="The GPUs of the trial.")
    started_at: datetime | None = Field(None, description="When its Jobs were decided.")
    finished_at: datetime | None = Field(None, description="When its result was recorded.")


class Recommendation(StatusModel):
    """The cheapest configuration that keeps the promise, and why."""

    configuration: Configuration = Field(
        default_factory=Configuration, description="The recommended settings."
    )
    trial: str = Field("", description="The trial that stands behind it.")
    knee_rate: float | None = Field(None, description="Requests per second one replica carries.")
    cost_per_hour_at_peak: Reading = Field(
        default_factory=Reading, description="Cost of an hour at the declared peak."
    )
    cost_per_thousand_requests: Reading = Field(
        default_factory=Reading, description="Cost of 1,000 requests at the declared peak."
    )
    patch_config_map: str = Field("", description="ConfigMap that holds the patch to commit.")
    digest: str = Field("", description="SHA-256 of the patch.")
    reason: ShortText = Field("", description="Why this one, in one or two sentences.")
    unchecked: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="What this recommendation changes that may change answers and was not checked: "
        "image, or names of settings. With any of these it is recommended only.",
    )
    withheld: ShortText | None = Field(
        None,
        description="What would need fewer replicas, or what is recommended only, since answers "
        "may change with it and were not checked.",
    )
    image_only_recommended: str | None = Field(
        None,
        description="An image that would be better but is not applied, since no quality check "
        "is declared.",
    )


class Bounds(StatusModel):
    """Replica bounds of the autoscaler."""

    min_replicas: int = Field(1, description="Lower bound.")
    max_replicas: int = Field(1, description="Upper bound.")


class TemplateValues(StatusModel):
    """Values of exactly the fields we write in the pod template. Absent: the field is absent."""

    image: str | None = Field(None, description="Image; absent when images are not tuned.")
    batch_value: str | None = Field(
        None, description="Value of the batch knob; absent when the entry does not exist."
    )
    args: tuple[str, ...] | None = Field(
        None,
        max_length=LONGEST_LIST,
        description="All arguments: read from records of earlier versions, never written.",
    )
    command: tuple[str, ...] | None = Field(
        None,
        max_length=LONGEST_LIST,
        description="The whole command: read from records of earlier versions, never written.",
    )
    own_args: ArgumentList | None = Field(
        None, description="Of args, what the knobs turn; absent when there is no list."
    )
    own_command: ArgumentList | None = Field(
        None, description="Of command, what the knobs turn; absent when there is no list."
    )
    entries: dict[str, str] | None = Field(
        None,
        max_length=16,
        description="Value of each other field, by where it stands: env/NAME, requests/cpu, "
        "limits/memory, volumes/NAME or envRef/NAME (these two name a ConfigMap).",
    )


class BatchPlace(StatusModel):
    """Where the batch cap stood when the rollout was decided, whatever the spec says later."""

    env: str | None = Field(None, description="Environment variable that holds the batch cap.")
    argument: str | None = Field(None, description="Flag that holds the batch cap.")


class RolloutIntent(StatusModel):
    """What a rollout will write and what stood there: stored before the first write."""

    id: str = Field("", description="Digest of the intent.")
    target_kind: str = Field("", description="Kind of the workload.")
    target_name: str = Field("", description="Name of the workload, whatever the spec says later.")
    target_uid: str = Field("", description="UID of the workload; another object is never written.")
    container: str = Field("", description="Container whose fields are written.")
    place: BatchPlace | None = Field(None, description="Where the batch cap stands.")
    before: TemplateValues = Field(default_factory=TemplateValues, description="Values before.")
    after: TemplateValues = Field(default_factory=TemplateValues, description="Values to write.")
    autoscaler: str | None = Field(None, description="Autoscaler whose bounds are written.")
    autoscaler_uid: str | None = Field(None, description="UID of that autoscaler.")
    bounds_before: Bounds | None = Field(None, description="Replica bounds before.")
    bounds_after: Bounds | None = Field(None, description="Replica bounds to write.")
    owners_before: dict[str, str] = Field(
        default_factory=dict, max_length=64, description="Who owned each field before, by path."
    )
    tuning_name: str = Field("", description="Name of the tuning that decided the rollout.")
    tuning_uid: str = Field("", description="UID of the tuning that decided the rollout.")
    baseline: Configuration | None = Field(
        None, description="Settings before any tuning, whatever rollouts came in between."
    )
    after_tuning: bool = Field(
        default=False, description="Whether the values before were themselves written by a tuning."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_whole_list(cls, content: object) -> object:
        """Read whole lists of arguments, as earlier versions kept them, without those of others."""
        if not isinstance(content, Mapping):
            return content
        values = [TemplateValues.model_validate(content.get(s) or {}) for s in ("before", "after")]
        changes: list[dict[str, Any]] = [{}, {}]
        for name in ("args", "command"):
            if any(getattr(side, name) is not None for side in values):
                lists = kept_where_they_differ(*(getattr(side, name) for side in values))
                for change, found in zip(changes, lists, strict=True):
                    change |= {name: None, f"own_{name}": found}
        before, after = (v.model_copy(update=c) for v, c in zip(values, changes, strict=True))
        return {**content, "before": before, "after": after}


class RolloutStatus(StatusModel):
    """The open rollout, or the last one."""

    intent: RolloutIntent | None = Field(None, description="What is written, and what was before.")
    written: tuple[Literal["Template", "Bounds"], ...] = Field(
        (), max_length=2, description="What was written: from then on it is never forced."
    )
    started_at: datetime | None = Field(None, description="When the intent was recorded.")
    applied_at: datetime | None = Field(None, description="When the rollout was complete.")
    verification_seconds: float | None = Field(
        None, description="Computed time that a verdict on live traffic needs."
    )
    verified_at: datetime | None = Field(None, description="When the verdict was reached.")
    verdict: VerdictName | None = Field(None, description="What live traffic said.")
    evidence: ShortText | None = Field(None, description="The figures behind the verdict.")
    blocks: int = Field(0, description="Blocks of live traffic judged so far.")
    rollback_started_at: datetime | None = Field(None, description="When the way back was decided.")
    rollback_event: str | None = Field(None, description="What the way back was decided for.")
    rolled_back_at: datetime | None = Field(None, description="When the old values were back.")
    seen_at: datetime | None = Field(
        None, description="When the operator last looked at the open rollout, to within seconds."
    )
    idle_seconds: float = Field(
        0,
        description="Time in which nobody looked (operator down, or suspended): deadlines do not "
        "count it.",
    )
    restore_command: ShortText | None = Field(
        None, description="The kubectl line that restores the old template by hand."
    )


class Borrowed(StatusModel):
    """A replica lent to trials: what was lowered, recorded before it was."""

    kind: str = Field("", description="Kind of the target.")
    name: str = Field("", description="Name of the target.")
    target_uid: str = Field("", description="UID of the target.")
    autoscaler: str | None = Field(None, description="Autoscaler whose bounds are lowered.")
    autoscaler_uid: str | None = Field(None, description="UID of that autoscaler.")
    before: Bounds = Field(default_factory=Bounds, description="Bounds, or replicas, before.")
    during: Bounds = Field(default_factory=Bounds, description="Bounds, or replicas, meanwhile.")
    owned_before: bool = Field(
        default=False, description="An earlier rollout owns these bounds already."
    )
    lowered: bool = Field(default=False, description="The lowered values have been seen.")
    returning: bool = Field(default=False, description="They go back to what stood before.")
    since: datetime | None = Field(None, description="When it was decided.")
    restore_command: ShortText | None = Field(
        None, description="The kubectl line that gives the replica back by hand."
    )


class Spent(StatusModel):
    """What the tuning has cost so far."""

    trials: int = Field(0, description="Trials started.")
    replica_hours: float = Field(
        0, description="Hours that trial servers held a replica's resources."
    )
    wall_clock_seconds: float = Field(
        0, description="From the first trial to now, or to the decision."
    )
    cost: Reading = Field(default_factory=Reading, description="The same in money, when declared.")


class Summary(StatusModel):
    """Rendered strings for ``kubectl get``."""

    slo: str = Field("", description="The promise.")
    p95: str = Field("", description="Last live 95th percentile.")
    best: str = Field("", description="Best configuration found so far.")
    verdict: str = Field("", description="Last verdict.")
    spent: str = Field("", description="Trials used of trials allowed, and hours.")


class Condition(StatusModel):
    """A condition in the Kubernetes form."""

    type: str = Field(max_length=64, description="What the condition is about.")
    status: Literal["True", "False", "Unknown"] = Field("Unknown", description="The answer.")
    reason: str = Field("NotObservedYet", max_length=128, description="The answer, as one word.")
    message: Annotated[str, Field(max_length=2048)] = Field("", description="As a sentence.")
    last_transition_time: datetime = Field(description="When status last changed.")
    observed_generation: int = Field(0, description="Generation of the spec it speaks of.")


class TuningStatus(StatusModel):
    """Everything the operator answers about one tuning."""

    observed_generation: int = Field(0, description="Generation of the spec that was last read.")
    state: StateName = Field("Pending", description="State of the tuning's lifecycle.")
    state_since: datetime | None = Field(None, description="When that state was entered.")
    summary: Summary = Field(default_factory=Summary, description="Strings for kubectl get.")
    conditions: tuple[Condition, ...] = Field((), max_length=32, description="Conditions.")
    target: TargetFacts = Field(default_factory=TargetFacts, description="The resolved target.")
    baseline_configuration: Configuration | None = Field(
        None, description="Settings found before anything was changed."
    )
    baseline: LiveFigures | None = Field(None, description="Live traffic before any change.")
    live: LiveFigures | None = Field(None, description="Live traffic as last verified or watched.")
    probes: tuple[ProbeSummary, ...] = Field((), max_length=64, description="Probe results.")
    rejected_images: tuple[RejectedImage, ...] = Field(
        (),
        max_length=8,
        description="Images of knobs.images that cost no trial, since they cannot run.",
    )
    trials: tuple[TrialRecord, ...] = Field(
        (), max_length=MAX_TRIALS_KEPT, description="Trials, in the order they were started."
    )
    recommendation: Recommendation | None = Field(None, description="The outcome of the search.")
    rollout: RolloutStatus | None = Field(None, description="The open or last rollout.")
    borrowed: Borrowed | None = Field(None, description="A replica that is lent to trials.")
    spent: Spent = Field(default_factory=Spent, description="What the tuning has cost so far.")
    spec_digest: str = Field(
        "", description="Digest of the spec that this status answers, without spec.suspend."
    )
    trial_basis: str = Field(
        "", description="Digest of all that the trials measured; another one voids them."
    )
    search_since: datetime | None = Field(
        None, description="When the tuning last started anew; the wall clock counts from there."
    )
    abort_answered: str | None = Field(
        None, description="Digest of the value of infertune.io/abort that was answered."
    )
    retry_answered: str | None = Field(
        None, description="Digest of the value of infertune.io/retry that was answered."
    )
