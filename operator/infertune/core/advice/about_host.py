"""Advice about the machine around the server: its CPU limit, and what the system probe suggests.

Role: turn what the kernel counted into lines of a manifest. Must not know: devices. Trade-off: the
suggestions of the system probe are passed on as they are, without a gain: the kernel counts who
waited, not for how long a request waited in the end.
"""

import math
from collections.abc import Iterator

from infertune.core.advice.gains import Gain, without
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Evidence

_LEAST_THROTTLED = 0.05


def about_host(evidence: Evidence) -> Iterator[Advice]:
    """Yield what the system probe speaks for."""
    throttled = evidence.figure("system", "group_throttled")
    share = None if throttled is None else min(1.0, throttled / 100)
    raised = share is not None and share >= _LEAST_THROTTLED
    if share is not None and raised:
        yield _limit(evidence, share)
    system = evidence.system
    found = {} if system is None else {one.code: one for one in system.suggestions}
    envelope = evidence.envelopes.get("system")
    told = {} if envelope is None else {one.code: one for one in envelope.findings}
    for code, suggestion in found.items():
        if raised and "THROTTLED" in code:
            continue
        finding = told.get(code)
        yield Advice(
            code.replace("_", " ").lower(),
            suggestion.command,
            suggestion.reason if finding is None else f"{finding.evidence}: {suggestion.reason}",
            None,
            "medium" if finding is not None and finding.verdict == "fail" else "low",
            "config line",
            suggestion.risk,
            unquantified="the kernel does not count what it costs a request",
        )


def _limit(evidence: Evidence, share: float) -> Advice:
    system = evidence.system
    limit = None if system is None else system.group.cpu_limit
    action = "raise resources.limits.cpu of the container, or leave it out"
    if limit is not None:
        # A value to start from, the system probe's own: how much more it wanted nobody counts.
        more = math.ceil(2 * limit * (1 + share)) / 2
        action = f"raise resources.limits.cpu from {limit:g} to {more:g} and look again"
    return Advice(
        "CPU limit",
        action,
        f"the container was held back in {share:.0%} of its periods",
        Gain(
            1.0,
            without(share),
            "no period ends in waiting",
            "at most: a period that was cut short is counted as lost whole",
        ),
        "medium",
        "config line",
    )
