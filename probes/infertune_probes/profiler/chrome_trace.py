"""Reads a Chrome trace that torch.profiler (Kineto) wrote, plain or gzip, event by event.

It must not judge. The file may come from a foreign server, so its size, the number of events
and the length of names are bounded, and an event of an unexpected shape is left out and counted.
Trade-off: an own incremental reader over `json.JSONDecoder.raw_decode`, because `json.load` of a
trace needs ten times its size in memory, and a probe pod has half a gigabyte.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TEXT_CHARACTERS = 1 << 30
MAX_EVENTS = 2_000_000
MAX_NAME = 512
_CHUNK = 1 << 20
# No single event is longer; more text without a whole event is not a trace.
_LONGEST_EVENT = 8 << 20
_ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
_CALLS = ("cuda_runtime", "cuda_driver")


class TraceUnreadable(Exception):
    """The file is not a trace that can be read; the text says why."""


class Span(NamedTuple):
    """One timed event. Times in microseconds; `lane` is the thread, or device and stream."""

    category: str
    name: str
    start: float
    end: float
    lane: tuple[str, str]
    external: int = -1
    correlation: int = -1
    sequence: int = -1
    types: tuple[str, ...] = ()
    dims: tuple[tuple[int, ...], ...] = ()
    size: int = 0

    @property
    def duration(self) -> float:
        """Microseconds from start to end."""
        return self.end - self.start


class MemoryEvent(NamedTuple):
    """One allocation (`size` > 0) or release, with what the allocator held after it."""

    at: float
    lane: tuple[str, str]
    size: int
    on_device: bool
    device: int
    allocated: int
    reserved: int


class Trace(NamedTuple):
    """The events that the reading needs, by what they are."""

    ops: list[Span]
    ranges: list[Span]
    device: list[Span]
    calls: list[Span]
    frames: list[Span]
    memory: list[MemoryEvent]
    devices: list[str]
    with_shapes: bool
    with_memory: bool
    left_out: int = 0

    @property
    def has_device(self) -> bool:
        """Whether anything ran on a device."""
        return bool(self.device)


def read_trace(path: Path) -> Trace:
    """Return the trace in a file.

    Raises:
        TraceUnreadable: not there, not a trace, damaged, or beyond the bounds.
    """
    header: dict[str, Any] = {}
    trace = Trace([], [], [], [], [], [], [], with_shapes=False, with_memory=False)
    left_out = 0
    try:
        for number, event in enumerate(_events(path, header)):
            if number >= MAX_EVENTS:
                msg = f"more than {MAX_EVENTS} events: profile fewer steps"
                raise TraceUnreadable(msg)
            left_out += not _sort_in(trace, event)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        msg = f"{path.name}: {error}"
        raise TraceUnreadable(msg) from error
    properties = header.get("deviceProperties")
    names = [str(one.get("name", "?")) for one in properties or () if isinstance(one, dict)]
    shapes = bool(header.get("record_shapes")) or any(op.dims for op in trace.ops)
    return trace._replace(
        devices=names,
        with_shapes=shapes,
        with_memory=bool(header.get("profile_memory")) or bool(trace.memory),
        left_out=left_out,
    )


def _sort_in(trace: Trace, event: Any) -> bool:  # noqa: ANN401  # parsed JSON
    """Put the event where it belongs; False when its shape is not the documented one."""
    if not isinstance(event, dict):
        return False
    category, phase = event.get("cat"), event.get("ph")
    try:
        if phase == "X" and category in _ROOMS:
            getattr(trace, _ROOMS[category]).append(_span(category, event))
        elif phase == "i" and event.get("name") == "[memory]":
            trace.memory.append(_memory(event))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return False
    return True


_ROOMS = {
    "cpu_op": "ops",
    "user_annotation": "ranges",
    "python_function": "frames",
    **dict.fromkeys(_ON_DEVICE, "device"),
    **dict.fromkeys(_CALLS, "calls"),
}


def _span(category: str, event: dict[str, Any]) -> Span:
    start, duration = float(event["ts"]), float(event["dur"])
    if not 0 <= duration < float("inf") or not abs(start) < float("inf"):
        raise ValueError(duration)
    more = event.get("args") or {}
    return Span(
        category,
        str(event["name"])[:MAX_NAME],
        start,
        start + duration,
        (str(event.get("pid")), str(event.get("tid"))),
        _whole(more.get("External id")),
        _whole(more.get("correlation")),
        _whole(more.get("Sequence number")),
        tuple(str(one)[:32] for one in (more.get("Input type") or ())[:8]),
        _shapes(more.get("Input Dims") or ()),
        max(_whole(more.get("bytes")), 0),
    )


def _memory(event: dict[str, Any]) -> MemoryEvent:
    more = event["args"]
    return MemoryEvent(
        float(event["ts"]),
        (str(event.get("pid")), str(event.get("tid"))),
        int(more["Bytes"]),
        # c10::DeviceType: 0 is the CPU.
        int(more.get("Device Type", 0)) != 0,
        int(more.get("Device Id", -1)),
        int(more.get("Total Allocated", 0)),
        int(more.get("Total Reserved", 0)),
    )


def _whole(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else -1


def _shapes(value: Any) -> tuple[tuple[int, ...], ...]:  # noqa: ANN401  # parsed JSON
    """Return the shapes of plain tensors; a list of tensors (cat) counts as no shape."""
    shapes = []
    for one in value[:8]:
        plain = isinstance(one, list) and all(isinstance(size, int) for size in one)
        shapes.append(tuple(one[:8]) if plain else ())
    return tuple(shapes)


def _events(path: Path, header: dict[str, Any]) -> Iterator[Any]:
    """Yield every element of traceEvents; scalars around it go into ``header``."""
    chunks = _chunks(path)
    text = next(chunks, "").lstrip("\ufeff \t\r\n")
    decoder = json.JSONDecoder()
    if text.startswith("["):
        # The bare array form of the Chrome format.
        at = 1
    else:
        text, at = _skip_header(text, chunks, header)
    while True:
        at = _past(text, at, ", \t\r\n")
        if at < len(text) and text[at] == "]":
            return
        try:
            event, at = decoder.raw_decode(text, at)
        except ValueError as error:
            more = next(chunks, None)
            if more is None or len(text) - at > _LONGEST_EVENT:
                msg = f"{path.name} is not a whole trace: {error}"
                raise TraceUnreadable(msg) from error
            text, at = text[at:] + more, 0
            continue
        yield event


def _skip_header(text: str, chunks: Iterator[str], header: dict[str, Any]) -> tuple[str, int]:
    """Return the text and the place right after `"traceEvents": [`."""
    while '"traceEvents"' not in text:
        more = next(chunks, None)
        if more is None or len(text) > _LONGEST_EVENT:
            raise TraceUnreadable("there is no traceEvents list in the file: not a Chrome trace")
        text += more
    before, _, _ = text.partition('"traceEvents"')
    try:
        # What stands before the list is an object that lacks only its end.
        header.update(json.loads(before.rstrip().rstrip(",") + "}"))
    except ValueError:
        header.clear()
    at = text.find("[", len(before))
    while at < 0:
        text += next(chunks, "[")
        at = text.find("[", len(before))
    return text, at + 1


def _past(text: str, at: int, skipped: str) -> int:
    while at < len(text) and text[at] in skipped:
        at += 1
    return at


def _chunks(path: Path) -> Iterator[str]:
    """Yield the text of the file in pieces, decompressed where it is gzip."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        read = 0
        with io.TextIOWrapper(source, encoding="utf-8", errors="replace") as stream:
            while True:
                piece = stream.read(_CHUNK)
                if not piece:
                    return
                read += len(piece)
                if read > MAX_TEXT_CHARACTERS:
                    msg = f"the trace is longer than {MAX_TEXT_CHARACTERS} characters"
                    raise TraceUnreadable(msg)
                yield piece
