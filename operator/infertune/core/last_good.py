"""The annotation ``infertune.io/last-good``: the second home of a rollout's intent.

Role: an intent as JSON on the objects it changes, written and read. Must not know: states, what
stands in the fields. Trade-off: the whole intent is repeated on each object, some hundred bytes, so
that neither a lost status nor a lost operator makes a tuned target look like an untouched one; a
text that cannot be read counts as none, since it is not ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import ValidationError

from infertune.api.status import Configuration, RolloutIntent
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.render import canonical_json
from infertune.core.snapshot import RawObject

RecordState = Literal["Open", "Settled"]
PATH = ("metadata", "annotations", ANNOTATION_LAST_GOOD)
VERSION = 1
_APART = {"tuning_name", "tuning_uid", "baseline"}


@dataclass(frozen=True, slots=True)
class LastGood:
    """What the annotation says. ``Open``: no verdict on live traffic has been recorded on it."""

    state: RecordState
    intent: RolloutIntent

    @property
    def baseline(self) -> Configuration:
        """Settings before any tuning."""
        return self.intent.baseline or Configuration()


def last_good(intent: RolloutIntent, state: RecordState = "Open") -> str:
    """Return the annotation's text: enough for a human, or another operator, to go back."""
    baseline = intent.baseline or Configuration()
    content = {
        "version": VERSION,
        "state": state,
        "tuning": {"name": intent.tuning_name, "uid": intent.tuning_uid},
        "baseline": _plain(baseline.model_dump(mode="json", by_alias=True, exclude_none=True)),
        "intent": _plain(
            intent.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_APART)
        ),
    }
    return canonical_json(content)


def noted(raw: RawObject) -> str | None:
    """Return the text of the annotation as it stands, or None."""
    found = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_LAST_GOOD)
    return None if found is None else str(found)


def read_last_good(raw: RawObject) -> LastGood | None:
    """Return what the annotation of an object says; None without one that can be read."""
    try:
        content = json.loads(noted(raw) or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping) or content.get("version") != VERSION:
        return None
    if content.get("state") not in get_args(RecordState):
        return None
    tuning = content.get("tuning")
    names = tuning if isinstance(tuning, Mapping) else {}
    try:
        intent = RolloutIntent.model_validate(
            {
                **content["intent"],
                "tuningName": names.get("name", ""),
                "tuningUid": names.get("uid", ""),
                "baseline": content.get("baseline") or None,
            }
        )
    except (KeyError, TypeError, ValidationError):
        return None
    return LastGood(content["state"], intent)


def is_older_format(raw: RawObject) -> bool:
    """Whether the annotation is of the form without a version, which held the old values only."""
    try:
        content = json.loads(noted(raw) or "null")
    except (ValueError, RecursionError):
        return False
    return isinstance(content, Mapping) and "version" not in content and "template" in content


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value != ""}
