"""What the server is told from outside, read once at start-up.

Role: environment variables in, one frozen value out. It must not know the web framework or the
model. Its trade-off: a wrong value ends the process with one sentence instead of falling back to a
default, because a server that runs with a setting nobody asked for makes every measurement a lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH_SIZE_LIMIT = 256
BATCH_WAIT_LIMIT_MS = 10_000


class SettingsError(ValueError):
    """A setting is missing or out of range; the message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """How many rows one model run may take, and how long it may wait to fill.

    Raises:
        SettingsError: when a value is out of range.
    """

    max_batch_size: int
    batch_wait_ms: int

    def __post_init__(self) -> None:
        """Refuse values that no server could honour."""
        _require("max_batch_size", self.max_batch_size, 1, BATCH_SIZE_LIMIT)
        _require("batch_wait_ms", self.batch_wait_ms, 0, BATCH_WAIT_LIMIT_MS)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the process needs to start."""

    model_path: Path
    port: int
    batching: BatchingPolicy
    queue_limit: int
    lame_duck_ms: int
    drain_seconds: int


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` spells out; absent variables take their defaults.

    Raises:
        SettingsError: when a value is not a whole number or is out of range.
    """
    return Settings(
        model_path=Path(environ.get("MODEL_PATH", "/model/model.onnx")),
        port=_whole(environ, "PORT", 8000, 0, 65_535),
        batching=BatchingPolicy(
            max_batch_size=_whole(environ, "MAX_BATCH_SIZE", 1, 1, BATCH_SIZE_LIMIT),
            batch_wait_ms=_whole(environ, "BATCH_WAIT_MS", 0, 0, BATCH_WAIT_LIMIT_MS),
        ),
        queue_limit=_whole(environ, "QUEUE_LIMIT", 64, 1, 100_000),
        lame_duck_ms=_whole(environ, "LAME_DUCK_MS", 0, 0, 60_000),
        drain_seconds=_whole(environ, "DRAIN_SECONDS", 20, 1, 600),
    )


def _whole(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        message = f"{name} must be a whole number, not {text!r}"
        raise SettingsError(message) from None
    _require(name, value, low, high)
    return value


def _require(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        message = f"{name} must be between {low} and {high}, not {value}"
        raise SettingsError(message)
