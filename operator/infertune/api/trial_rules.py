"""``spec.trial``: how trials run, and what a copy of the target must leave out.

Role: the part of the spec that speaks of trial pods. Must not know: the target, pods. Trade-off:
an override has typed fields for what copies are known to trip over, instead of any patch of the pod
template, so that each has an explanation, a check and a meaning.
"""

from typing import Annotated, Literal

from pydantic import Field

from infertune.api.fields import ObjectName, SpecModel

EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
Quantity = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", max_length=16)
]

ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]


class PodTemplateOverride(SpecModel):
    """What a trial pod does otherwise than the target's pods."""

    drop_init_containers: tuple[ObjectName, ...] = Field(
        (),
        max_length=16,
        description="Init containers that a trial must not run, for example a migration.",
    )
    env: dict[EnvName, str] = Field(
        default_factory=dict,
        max_length=32,
        description="Environment of the serving container in a trial, and of any other container "
        "that has an entry of that name; wins over the target's, but not over a knob.",
    )
    service_account_name: ObjectName | None = Field(
        None, description="ServiceAccount of trial pods. Default: the target's."
    )
    empty_volumes: tuple[ObjectName, ...] = Field(
        (),
        max_length=16,
        description="Volumes that are an empty directory in a trial, for example a cache on a "
        "ReadWriteOnce claim.",
    )


class DefaultLimits(SpecModel):
    """Limits of a trial's container that declares none itself."""

    cpu: Quantity = Field("4", description="CPU limit.")
    memory: Quantity = Field("16Gi", description="Memory limit.")


class BorrowWindow(SpecModel):
    """A time of every day in UTC; one that ends before it starts goes past midnight."""

    start: ClockTime = Field(description='Start, such as "22:00".')
    end: ClockTime = Field(description='End, such as "05:30"; a running trial is ended by then.')


class TrialRules(SpecModel):
    """How trials run."""

    scheduling_timeout_seconds: int = Field(
        300, ge=5, le=86_400, description="A trial pod not running by then ends the trial."
    )
    startup_timeout_seconds: int = Field(
        600, ge=5, le=86_400, description="A trial server not ready by then has failed."
    )
    seconds_per_rate: int = Field(
        30, ge=3, le=3600, description="How long each request rate is held, after the warm-up."
    )
    warmup_seconds: int = Field(
        5, ge=0, le=600, description="Load at the start of each rate that is not counted."
    )
    max_rates: int = Field(
        4, ge=1, le=8, description="Most request rates tried on one server start."
    )
    placement: Literal["Shadow", "Borrow"] = Field(
        "Shadow",
        description="Shadow runs trials beside all live pods. Borrow is for clusters without a "
        "spare device: it lowers the autoscaler's bounds (or the replicas of a target without "
        "one) by a replica while trials run, and restores them.",
    )
    borrow_window: BorrowWindow | None = Field(
        None, description="When a replica may be borrowed. Default: at any time."
    )
    allow_downtime: bool = Field(
        default=False, description="Borrow the only replica of a target without an autoscaler."
    )
    default_limits: DefaultLimits = Field(
        default_factory=lambda: DefaultLimits.model_validate({}),
        description="Limits of containers that declare none. Requests that are missing are the "
        "limits that the target declares, else 100m and 128Mi.",
    )
    pod_template_override: PodTemplateOverride | None = Field(
        None, description="What a trial pod does otherwise than the target's pods."
    )
