"""What the probes of a tuning look at beyond the nodes.

Role: the part of the spec that names the user's own model for a profile. Must not know: Jobs,
images. Trade-off: an entry point instead of guessing how a server calls its model, since only its
author knows; without one nothing is profiled.
"""

from typing import Annotated, Literal

from pydantic import Field

from infertune.api.fields import ENTRY_PATTERN, SpecModel

EntryPoint = Annotated[str, Field(pattern=ENTRY_PATTERN, max_length=256)]


class ProfilerRules(SpecModel):
    """One profile of the model, in the target's own image, before the search."""

    entry: EntryPoint = Field(
        description="The inference call as module:callable, importable in the target's image and "
        "its working directory. Called with the input; load the model at import."
    )
    input: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="Sample input: a path of a .json or .npz file in the image, or module:callable "
        "that returns the arguments. Without one the entry is called without arguments.",
    )
    mode: Literal["Basic", "Detailed", "Memory"] = Field(
        "Basic",
        description="Detailed records shapes, modules, stacks and FLOPs, and costs more time; "
        "Memory records allocations.",
    )
    warmup_calls: int = Field(3, ge=1, le=100, description="Calls before the profile.")
    active_calls: int = Field(
        5, ge=1, le=10, description="Calls in the profile; a trace grows with each of them."
    )
