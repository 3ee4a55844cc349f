"""Stories of people who hold, stop or undo a tuning, and of a status that is lost."""

from collections.abc import Callable
from typing import Any

from infertune.api.annotations import ABORT, FREEZE, RETRY
from infertune.api.v1alpha1 import KIND
from infertune.core.rollout import ROLLOUT_OPEN
from tests.fakes.cases import NAMESPACE
from tests.scenario.book import NEW, OLD, ROLLOUT, UNTOUCHED, Act, Mix, Story
from tests.scenario.stories import Stage
from tests.scenario.tales_rollout import BACK, FORWARD, happy, in_state

Change = Callable[[dict[str, Any]], object]


def change(stage: Stage, edit: Change) -> None:
    """Let somebody change the tuning as an object, if it is there."""
    stage.cluster.store.edit(KIND, *stage.place(), edit, "kubectl")


def annotated(name: str, value: str) -> Callable[[Stage], None]:
    """Return the act that sets an annotation."""

    def edit(raw: dict[str, Any]) -> None:
        raw["metadata"].setdefault("annotations", {})[name] = value

    return lambda stage: change(stage, edit)


def without(name: str) -> Callable[[Stage], None]:
    """Return the act that removes an annotation."""
    return lambda stage: change(stage, lambda raw: raw["metadata"]["annotations"].pop(name))


def suspend(stage: Stage) -> None:
    """Let the user suspend the tuning."""
    stage.edit_spec(lambda spec: spec.update(suspend=True))


def resume(stage: Stage) -> None:
    """Let the user go on."""
    stage.edit_spec(lambda spec: spec.update(suspend=False))


def lose_status(stage: Stage) -> None:
    """Restore the tuning from a backup that holds no status."""
    change(stage, lambda raw: raw.update(status={"state": "Pending"}))


def take_bounds(stage: Stage) -> None:
    """Let somebody raise the replica bounds by hand."""
    stage.cluster.store.edit(
        "HorizontalPodAutoscaler",
        NAMESPACE,
        "server",
        lambda raw: raw["spec"].update(maxReplicas=9),
        "kubectl-edit",
    )


def told(condition: str, reason: str) -> Callable[[Stage], bool]:
    """Return the moment at which a condition gives this reason."""

    def reached(stage: Stage) -> bool:
        found = stage.conditions().get(condition, ("", ""))
        return found[1] == reason

    return reached


def closed(stage: Stage) -> bool:
    """Return whether the verdict stands on the target too: until then the rollout is open there."""
    finalizers = stage.cluster.store.read(KIND, *stage.place())["metadata"].get("finalizers")
    return stage.state() == "Stable" and not finalizers


def rolling_out(stage: Stage) -> bool:
    """Return whether the template is written and its rollout not complete."""
    return stage.state() == "Applying" and stage.values() == NEW


def resting_again(stage: Stage) -> bool:
    """Return whether nothing is left to be answered and the tuning rests."""
    status = stage.status()
    raw = stage.cluster.store.read(KIND, *stage.place())
    wished = RETRY in (raw["metadata"].get("annotations") or {})
    answered = status.retry_answered is not None or not wished
    return status.state in {"Stable", "Halted"} and answered


def bounds_or_taken(stage: Stage) -> Mix:
    """Return the mix; bounds that somebody has taken are theirs, whatever they are."""
    taken = stage.bounds()[1] == 9
    return (stage.values(), "taken" if taken else stage.bounds())


def _suspended(state: str) -> Story:
    return Story(
        f"suspended while {state}, and resumed",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(Act(in_state(state), suspend), Act(told("Ready", "Suspended"), resume)),
    )


def _aborted(state: str) -> Story:
    is_open = state in ROLLOUT_OPEN
    return Story(
        f"aborted while {state}",
        happy,
        state="Halted",
        end=BACK,
        safe=ROLLOUT if is_open else UNTOUCHED,
        leaves=("demo-recommendation",) if is_open else (),
        acts=(Act(in_state(state), annotated(ABORT, "now")),),
    )


TALES = (
    *(_suspended(state) for state in ("Probing", "Searching", "Applying", "Verifying")),
    *(_aborted(state) for state in ("Searching", "Applying", "Verifying")),
    Story(
        "aborted while Verifying, and the annotation taken back",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(
            Act(in_state("Verifying"), annotated(ABORT, "now")),
            Act(told("Stalled", "Aborted"), without(ABORT)),
        ),
        rest=lambda stage: stage.state() == "Stable",
        # Trials that a policy refuses are results: today's batch with other bounds then wins.
        not_tried=("403 by a policy",),
    ),
    Story(
        "frozen, and thawed",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(
            Act(in_state("Searching"), annotated(FREEZE, "")),
            Act(told("Applied", "Frozen"), without(FREEZE)),
        ),
    ),
    Story(
        "retried once it was stable",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(Act(in_state("Stable"), annotated(RETRY, "1")),),
        rest=resting_again,
    ),
    *(
        Story(
            f"status lost while {state}",
            happy,
            state="Stable",
            end=FORWARD,
            annotated=True,
            acts=(Act(in_state(state), lose_status),),
        )
        for state in ("Searching", "Applying", "Verifying")
    ),
    Story(
        "status lost while Stable",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(Act(closed, lose_status),),
    ),
    Story(
        "bounds taken while the template rolls out",
        happy,
        state="Halted",
        end=(OLD, "taken"),
        safe=ROLLOUT | {(OLD, "taken"), (NEW, "taken")},
        acts=(Act(rolling_out, take_bounds),),
        mix=bounds_or_taken,
    ),
    Story(
        "bounds taken while Verifying",
        happy,
        state="Halted",
        end=(NEW, "taken"),
        safe=ROLLOUT | {(NEW, "taken")},
        annotated=True,
        acts=(Act(in_state("Verifying"), take_bounds),),
        mix=bounds_or_taken,
    ),
)
