"""All stories, by name. A module of tales is read by naming it here."""

from tests.scenario import (
    tales_devices,
    tales_ownership,
    tales_rollout,
    tales_settings,
    tales_steering,
    tales_trials,
)
from tests.scenario.book import Story

TALES = (
    tales_rollout.TALES,
    tales_settings.TALES,
    tales_steering.TALES,
    tales_ownership.TALES,
    tales_trials.TALES,
    tales_devices.TALES,
)
BOOK: dict[str, Story] = {story.name: story for some in TALES for story in some}
assert len(BOOK) == sum(len(some) for some in TALES), "two stories have the same name"
