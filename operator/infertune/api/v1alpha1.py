"""``InferenceTuning`` of ``infertune.io/v1alpha1``: names of the resource, and parsing at the edge.

Role: turn a raw object into a typed one once, and say precisely what is wrong with a bad one.
Must not know: how objects are read. Trade-off: an invalid spec is a value (``SpecError``), not an
exception, because the operator must report it and go on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from infertune.api.fields import PATTERN_WORDS
from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus

GROUP = "infertune.io"
VERSION = "v1alpha1"
KIND = "InferenceTuning"
PLURAL = "inferencetunings"
SINGULAR = "inferencetuning"
_LONGEST_SHOWN_VALUE = 80
SHORT_NAMES = ("it", "tuning")
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class SpecError:
    """What is wrong with a spec, one sentence per field: path, value and the fix."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.problems)


def parse_spec(raw: Mapping[str, Any]) -> TuningSpec | SpecError:
    """Return the typed spec, or every problem found, with the field's path and the value."""
    try:
        return TuningSpec.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        places = {item["loc"] for item in found}
        return SpecError(tuple(_problem(dict(i)) for i in found if not _follows(i, places)))


def parse_status(raw: Mapping[str, Any]) -> TuningStatus:
    """Return the typed status; of one that does not load (a foreign hand) every field that does.

    An open rollout must not be forgotten because some other field cannot be read.
    """
    try:
        return TuningStatus.model_validate(raw)
    except ValidationError as error:
        broken = {item["loc"][0] for item in error.errors(include_url=False) if item["loc"]}
        return TuningStatus.model_validate({k: v for k, v in raw.items() if k not in broken})


def _follows(item: ErrorDetails, places: set[tuple[int | str, ...]]) -> bool:
    """Whether a list is found too short only because items in it are wrong, which is told."""
    inside = len(item["loc"])
    within = any(len(place) > inside and place[:inside] == item["loc"] for place in places)
    return item["type"] == "too_short" and within


def _problem(item: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in ("spec", *item["loc"]))
    shown = repr(item.get("input"))
    value = (
        "" if item["type"] == "missing" or len(shown) > _LONGEST_SHOWN_VALUE else f" (got {shown})"
    )
    return f"{path}: {_words(item)}{value}"


def _words(item: dict[str, Any]) -> str:
    """Return what is wrong and the fix, where the models' own words do not name it."""
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{message}: remove it, or correct its spelling"
    pattern = (item.get("ctx") or {}).get("pattern")
    words = PATTERN_WORDS.get(str(pattern))
    return message if words is None else f"{message}: {words}"
