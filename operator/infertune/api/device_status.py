"""The part of a trial's record that speaks of its devices.

Role: which GPUs the trial's server was given, whether it used them, and what was seen of them. Must
not know: how they are looked at. Trade-off: one sentence for people instead of every finding; the
whole of it is in the logs of the trial's pod, while that lives.
"""

from typing import Literal

from pydantic import Field

from infertune.api.fields import ShortText, StatusModel


class TrialDevices(StatusModel):
    """The GPUs of one trial. Absent: the target asks for none, or nobody looked."""

    uuids: tuple[str, ...] = Field((), max_length=16, description="UUIDs of the devices.")
    used: Literal["Yes", "No", "Unknown"] = Field(
        "Unknown",
        description="Did they compute while load was offered? No: the trial is no evidence about "
        "these GPUs, and counts only if it kept the promise without them.",
    )
    note: ShortText = Field(
        "", description="What was seen of them before and during the load, and what is unknown."
    )
