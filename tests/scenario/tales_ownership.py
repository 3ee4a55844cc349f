"""Stories of ownership: given back, taken back, moved to another target."""

from tests.fakes.cases import IMAGE
from tests.scenario.book import NEW_BOUNDS, ROLLOUT, Act, Story
from tests.scenario.stories import Stage
from tests.scenario.tales_rollout import FORWARD, delete, happy, in_state

TAKEN = (IMAGE, "7")


def take_batch(stage: Stage) -> None:
    """Let somebody set the batch cap by hand."""
    stage.set_batch("7")


TALES = (
    Story(
        "deleted while Stable: values stay, ownership is given back",
        happy,
        state="gone",
        end=FORWARD,
        leaves=(),
        acts=(Act(in_state("Stable"), delete),),
    ),
    Story(
        "a field taken while Verifying is theirs",
        happy,
        state="Halted",
        end=(TAKEN, NEW_BOUNDS),
        annotated=True,
        safe=ROLLOUT | {(TAKEN, NEW_BOUNDS)},
        acts=(Act(in_state("Verifying"), take_batch),),
    ),
)
