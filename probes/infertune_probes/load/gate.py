"""What must hold before load is sent: the server is ready, and it answers rightly.

It must not know levels or latency. Trade-off: readiness is asked over HTTP from here, not read
from the pod's status, so that the same probe works against a local process; start-up seconds
therefore count from the probe's first try, and the operator adds the time before that.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from infertune_probes.contract.session import CouldNotRun
from infertune_probes.load.codes import (
    NOT_READY,
    QUALITY_FAILED,
    QUALITY_PASSED,
    QUALITY_UNREADABLE,
)
from infertune_probes.load.golden import (
    Golden,
    GoldenUnreadable,
    Outcome,
    compare,
    parse_golden,
    quality_section,
)
from infertune_probes.load.private_headers import struck_out

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Finding
    from infertune_probes.load.generator import Brake
    from infertune_probes.load.options import Gate, Request
    from infertune_probes.load.sender import Sender

_PAUSE_SECONDS = 0.1


async def wait_ready(sender: Sender, url: str, seconds: float, brake: Brake) -> dict[str, object]:
    """Ask until the URL answers 2xx; return the startup section (`ready` false: too late)."""
    began = time.perf_counter()
    attempts = 0
    while True:
        attempts += 1
        answer = await sender.check(url)
        elapsed = time.perf_counter() - began
        if answer.error is None or elapsed >= seconds or brake.pulled:
            break
        await asyncio.sleep(min(_PAUSE_SECONDS, max(0.0, seconds - elapsed)))
    return {
        "url": url,
        "seconds": round(elapsed, 3),
        "attempts": attempts,
        "ready": answer.error is None,
    }


def not_ready(startup: dict[str, object]) -> Finding:
    """Return the finding of a server that never became ready."""
    return NOT_READY.failed(
        f"{startup['url']} did not answer 2xx within {startup['seconds']} s "
        f"({startup['attempts']} attempts)"
    )


def read_golden(gate: Gate, base: Request) -> list[Golden]:
    """Return the declared golden cases, an empty list when none are declared.

    Raises:
        CouldNotRun: the file cannot be read or is malformed; it is never taken for a pass.
    """
    if gate.golden is None:
        return []
    try:
        return parse_golden(gate.golden.read_text(encoding="utf-8"), base)
    except (OSError, UnicodeDecodeError, GoldenUnreadable) as error:
        why = f"{gate.golden}: {error}"
        raise CouldNotRun(QUALITY_UNREADABLE.unknown(why)) from error


async def check_quality(
    sender: Sender, cases: list[Golden], max_drop_percent: float
) -> dict[str, object]:
    """Send every golden request once, one at a time, and return the quality section."""
    outcomes = []
    for case in cases:
        answer = await sender.ask(case.request)
        if answer.error is None:
            outcomes.append(_judged(case, answer.body))
        else:
            outcomes.append(Outcome(case.name, passed=False, deviation=None, reason=answer.error))
    return quality_section(outcomes, max_drop_percent)


def _judged(case: Golden, body: bytes) -> Outcome:
    """Return how an answer compares; the reason never holds a credential that it repeats."""
    outcome = compare(case, body)
    if outcome.passed or not case.request.private:
        return outcome
    told = compare(case, struck_out(body, case.request)).reason
    return replace(outcome, reason=told or "another answer was expected where it repeats a Secret")


def quality_finding(quality: dict[str, object]) -> Finding:
    """Return the finding of a quality section: passed, or failed with the first wrong case."""
    evidence = (
        f"{quality['passed']} of {quality['total']} golden answers are right "
        f"(drop {quality['dropPercent']:.4g} %, allowed {quality['maxDropPercent']:.4g} %)"
    )
    if quality["accepted"]:
        return QUALITY_PASSED.passed(evidence)
    cases = quality["cases"]
    assert isinstance(cases, list)  # built as a list by quality_section
    wrong = next(case for case in cases if not case["passed"])
    return QUALITY_FAILED.failed(f"{evidence}; first: {wrong['name']}: {wrong['reason']}")
