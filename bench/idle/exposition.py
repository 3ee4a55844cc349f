"""Counters out of a metrics page in Prometheus' text format.

Role: text in, sums of series out. It must not know who exposes it. Its trade-off: only the counters
that the bench asks for are read, line by line, because the API server's page has many megabytes.
"""

import re
from collections.abc import Mapping

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def summed(page: str, name: str, by: str = "", **wanted: str) -> dict[str, float]:
    """Return the series of a counter, summed by one label.

    Args:
        page: The metrics page.
        name: The full name of the counter.
        by: The label whose values are the keys; without one all series go under "".
        **wanted: Regular expressions, whole value, that further labels must match.
    """
    found: dict[str, float] = {}
    for line in page.splitlines():
        if not line.startswith((f"{name}{{", f"{name} ")):
            continue
        labels = dict(_LABEL.findall(line))
        if all(re.fullmatch(value, labels.get(key, "")) for key, value in wanted.items()):
            key = labels.get(by, "")
            found[key] = found.get(key, 0.0) + _value(line, name)
    return found


def _value(line: str, name: str) -> float:
    """Return the value of a series; a time stamp may follow it."""
    rest = line.rpartition("}")[2] if "}" in line else line.removeprefix(name)
    return float(rest.split()[0])


def increase(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return what was added between two readings; a series that is new began at zero."""
    return {key: value - before.get(key, 0.0) for key, value in sorted(after.items())}
