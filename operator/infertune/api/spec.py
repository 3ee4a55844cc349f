"""The spec of an ``InferenceTuning``: what a user may declare.

Role: the pydantic models that the CRD is generated from; every description here is what
``kubectl explain`` teaches. Must not know: the cluster, the clock, how a field is acted on.
Trade-off: a field stands here only once code acts on it, so the schema grows with the product.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infertune.api.fields import DecimalString, ObjectName, PercentString, SpecModel
from infertune.api.knobs import Knobs
from infertune.api.load_headers import HeaderFrom, named_twice
from infertune.api.probe_rules import ProfilerRules
from infertune.api.trial_rules import TrialRules

Mode = Literal["Recommend", "Apply"]
MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=256)]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=128)]
HttpPath = Annotated[str, Field(pattern=r"^/[^\s]*$", max_length=1024)]


class TargetRef(SpecModel):
    """The workload to tune, in the namespace of the tuning."""

    api_version: Literal["apps/v1"] = Field("apps/v1", description="API version of the workload.")
    kind: Literal["Deployment", "StatefulSet"] = Field(
        "Deployment", description="Kind of the workload."
    )
    name: ObjectName = Field(description="Name of the workload, in the namespace of the tuning.")
    container: ObjectName | None = Field(
        None,
        description="Container that serves the model. Needed only when the pod has several.",
    )


class Slo(SpecModel):
    """The promise to keep."""

    percentile: Literal[50, 90, 95, 99] = Field(
        95, description="Percentile of request latency that the promise is about."
    )
    latency_milliseconds: int = Field(
        ge=1,
        le=3_600_000,
        description="The percentile must stay at or below this, in milliseconds.",
    )
    max_error_percent: PercentString = Field(
        "1", description='Share of requests that may fail, in percent, as a string such as "0.1".'
    )


class Demand(SpecModel):
    """The load that the promise must hold for."""

    peak_requests_per_second: int = Field(
        ge=1, le=10_000_000, description="Highest steady request rate of the whole target."
    )
    trough_requests_per_second: int = Field(
        1, ge=0, le=10_000_000, description="Lowest steady request rate of the whole target."
    )

    @model_validator(mode="after")
    def _trough_below_peak(self) -> Self:
        if self.trough_requests_per_second > self.peak_requests_per_second:
            message = (
                f"troughRequestsPerSecond {self.trough_requests_per_second} is above "
                f"peakRequestsPerSecond {self.peak_requests_per_second}: swap or raise the peak"
            )
            raise ValueError(message)
        return self


class PayloadRef(SpecModel):
    """A request body kept in a ConfigMap."""

    config_map: ObjectName = Field(description="ConfigMap in the namespace of the tuning.")
    key: str = Field("body.json", max_length=253, description="Key whose value is the body.")


class Load(SpecModel):
    """How one request to the server looks."""

    protocol: Literal["HTTP"] = Field("HTTP", description="Protocol of the requests.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Port of the server. Default: the container's first port."
    )
    path: HttpPath = Field("/", description="Path of the requests.")
    method: Literal["GET", "POST", "PUT"] = Field("POST", description="HTTP method.")
    content_type: str = Field(
        "application/json", max_length=256, description="Content-Type header of the requests."
    )
    payload_ref: PayloadRef | None = Field(None, description="Body of the requests.")
    headers_from: tuple[HeaderFrom, ...] = Field(
        (),
        max_length=8,
        description="Headers whose values stand in Secrets, for a server that wants a credential. "
        "Load and golden requests carry them; readiness is asked without.",
    )
    ready_path: HttpPath | None = Field(
        None,
        description="Path that answers 2xx once the server is ready. Default: the path of the "
        "container's HTTP readiness probe, else spec.load.path is not asked and the port is tried.",
    )
    request_timeout_seconds: int = Field(
        10, ge=1, le=600, description="A request without an answer by then has failed."
    )
    mesh: Literal["Disabled", "Inherit"] = Field(
        "Disabled",
        description="Disabled keeps sidecars of a service mesh out of trial server and load; "
        "Inherit gives both what the target's pods ask for, where only meshed pods may talk.",
    )

    @model_validator(mode="after")
    def _each_header_once(self) -> Self:
        twice = named_twice(self.headers_from)
        if twice is not None:
            message = f"headersFrom names the header {twice} twice: keep one"
            raise ValueError(message)
        return self


class Metrics(SpecModel):
    """Where the latency of live traffic is read."""

    prometheus_url: str = Field(
        alias="prometheusURL",
        pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$",
        max_length=1024,
        description="Base URL of the Prometheus API, such as http://prometheus.monitoring:9090. It "
        "holds no user and no password: credentials belong to the installation (chart value "
        "prometheus.credentials). The installation says which URLs may be asked; a Service always "
        "may unless it says otherwise.",
    )
    histogram: MetricName = Field(
        description="Name of the request-duration histogram, without _bucket. It must carry the "
        "labels namespace and pod."
    )
    unit: Literal["Seconds", "Milliseconds"] = Field(
        "Seconds", description="Unit of the histogram's bounds."
    )
    match_labels: dict[LabelName, str] = Field(
        default_factory=dict,
        max_length=16,
        description="Further labels that the series must carry.",
    )
    error_label: LabelName = Field(
        "code", description="Label of the histogram that tells failed requests from good ones."
    )
    error_pattern: str = Field(
        "5..|429",
        max_length=256,
        description="RE2 expression, whole value: values of errorLabel that are failures.",
    )
    scrape_interval_seconds: int = Field(
        15, ge=1, le=600, description="How often Prometheus scrapes the target."
    )


class Probes(SpecModel):
    """Which checks run on the nodes of the target before the search."""

    gpu_check: Literal["Disabled", "WhenPresent", "Required"] = Field(
        "WhenPresent", description="Required stops the tuning where a node shows no healthy GPU."
    )
    benchmark: Literal["Enabled", "Disabled"] = Field(
        "Enabled", description="Measure matrix multiplication on the device in use."
    )
    versions: Literal["WhenPresent", "Disabled"] = Field(
        "WhenPresent",
        description="WhenPresent reads driver and GPUs of the nodes of a target that asks for "
        "GPUs. An image of knobs.images that cannot run on one of them, by knobs.imageVersions or "
        "the tag, is not tried and stands in status.rejectedImages.",
    )
    system: Literal["Enabled", "Disabled"] = Field(
        "Disabled",
        description="Enabled looks at processors, memory, disks, network and set-up of the nodes "
        "for 15 seconds; what a pod without rights cannot read there is unknown. It stops nothing.",
    )
    profiler: ProfilerRules | None = Field(
        None, description="Profile the model in the target's image on one of its nodes."
    )


class Rollout(SpecModel):
    """How a change is applied and verified."""

    apply_timeout_seconds: int = Field(
        600, ge=10, le=86_400, description="A rollout not finished by then is rolled back."
    )
    allow_downtime: bool = Field(
        default=False,
        description="Whether a change may be rolled out though replicas that the traffic needs are "
        "down meanwhile: strategy Recreate, a single replica without surge. Without it such a "
        "change is recommended and not applied.",
    )
    warmup_seconds: int = Field(
        30, ge=0, le=3600, description="Live traffic in this time after the rollout is not judged."
    )
    verification_seconds: int | None = Field(
        None,
        ge=1,
        le=604_800,
        description="Longest time live traffic is judged. Default: computed from request rate and "
        "scrape interval. A shorter one than computed is refused, with the figure.",
    )
    on_inconclusive: Literal["Rollback", "Keep", "Extend"] = Field(
        "Rollback",
        description="What happens when live traffic proves neither pass nor fail in time. Extend "
        "goes on judging for extendSeconds, and rolls back after that.",
    )
    extend_seconds: int = Field(
        3600,
        ge=60,
        le=604_800,
        description="How much longer live traffic is judged with onInconclusive: Extend.",
    )
    adoption: Literal["Once", "Never"] = Field(
        "Once",
        description="Once takes a declared field over from the owner it has when a rollout starts "
        "(recorded in status.rollout.intent.ownersBefore), and never from anybody later. Never "
        "refuses to write a field that somebody else owns.",
    )
    git_ops: Literal["Refuse", "Acknowledged"] = Field(
        "Refuse",
        description="Refuse writes nothing to objects that Argo CD or Flux keep, which would "
        "revert it; the patch is published all the same. Acknowledged: their source ignores the "
        "declared fields.",
    )


class Cost(SpecModel):
    """What a replica costs. Without it, cost is reported in replica-hours."""

    replica_hourly: DecimalString = Field(
        description="Price of one replica of today's size for one hour."
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of the price.")


class Quality(SpecModel):
    """How a wrong answer is recognised."""

    golden_config_map: ObjectName = Field(
        description="ConfigMap with golden requests and the answers they must get."
    )
    key: str = Field("golden.json", max_length=253, description="Key of the golden requests.")
    max_quality_drop_percent: PercentString = Field(
        "2", description="Share of golden requests that may be answered wrongly, in percent."
    )


class Budget(SpecModel):
    """What the tuning may spend."""

    max_trials: int = Field(12, ge=1, le=64, description="Most trials, the baseline's included.")
    gpu_hours: DecimalString = Field(
        "2",
        description="Most device-hours that trials may hold. On nodes without a GPU it counts "
        "replica-hours.",
    )
    wall_clock_seconds: int = Field(
        7200, ge=60, le=604_800, description="Longest time from the first trial to a decision."
    )


class TuningSpec(SpecModel):
    """What is tuned, to which promise, within which limits."""

    target_ref: TargetRef = Field(description="The workload to tune.")
    mode: Mode = Field(
        "Recommend",
        description="Recommend reports and changes nothing; Apply changes the target, verifies on "
        "live traffic and rolls back when the promise is broken.",
    )
    slo: Slo = Field(description="The promise to keep.")
    demand: Demand = Field(description="The load that the promise must hold for.")
    knobs: Knobs = Field(description="What may be changed.")
    load: Load = Field(
        default_factory=lambda: Load.model_validate({}), description="How one request looks."
    )
    metrics: Metrics = Field(description="Where the latency of live traffic is read.")
    probes: Probes = Field(
        default_factory=lambda: Probes.model_validate({}), description="Checks before the search."
    )
    rollout: Rollout = Field(
        default_factory=lambda: Rollout.model_validate({}),
        description="How a change is applied and verified.",
    )
    cost: Cost | None = Field(None, description="What a replica costs.")
    trial: TrialRules = Field(
        default_factory=lambda: TrialRules.model_validate({}), description="How trials run."
    )
    quality: Quality | None = Field(None, description="How a wrong answer is recognised.")
    budget: Budget = Field(
        default_factory=lambda: Budget.model_validate({}), description="What tuning may spend."
    )
    suspend: bool = Field(
        default=False,
        description="True ends running trials and writes nothing more, not even the way back of an "
        "open rollout; false goes on from there with the trials that were finished.",
    )
