"""The part of a trial's record that says where its start-up went.

Role: the model of the phases from the Job to the first answer. Must not know: whence the times are.
Trade-off: plain seconds and one sentence for what is not known; a reading for each of five figures
in up to 64 trials would fill the status with reasons.
"""

from pydantic import Field

from infertune.api.fields import ShortText, StatusModel


class StartUp(StatusModel):
    """Phases of one server's start; an absent one is not known, and ``unknown`` says why."""

    wait_seconds: float | None = Field(None, description="From the Job to a node.")
    pull_and_start_seconds: float | None = Field(
        None,
        description="From the node to the container's start: volumes, init containers, image.",
    )
    load_seconds: float | None = Field(
        None, description="From the container's start to readiness, or to an earlier first answer."
    )
    first_answer_seconds: float | None = Field(
        None, description="From readiness to the first good answer to the load probe."
    )
    total_seconds: float | None = Field(
        None, description="From the Job to the last of these: what a trial costs before any load."
    )
    unknown: ShortText | None = Field(None, description="What is not known, and why.")
