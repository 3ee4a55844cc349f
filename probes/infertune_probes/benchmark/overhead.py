"""What a container's limit and image cost: percent lost, throttled share, start-up, base image.

Pure. It must not start anything. Trade-off: the loss is that of a matrix product which keeps every
granted processor busy, the worst case of a limit; a server that idles between requests loses less
on average and the same in its slowest requests.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.benchmark import codes
from infertune_probes.contract.start_up import devel_base

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infertune_probes.contract.envelope import Finding, Verdict

WARN_PERCENT, FAIL_PERCENT = 3.0, 15.0
_BASE_LABELS = ("org.opencontainers.image.base.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True)
class Loss:
    """How much of its speed the work lost; `method` says how that is known."""

    method: str
    percent: float
    throttled_share: float | None
    pairs: int
    # How far the free runs lie apart, in percent of their median.
    noise_percent: float = 0.0


def paired_loss(
    free: Sequence[float], limited: Sequence[float], throttled_share: float | None
) -> Loss | None:
    """Return the median loss over pairs that ran one after the other; None without a pair.

    A limited run that was faster by chance is a negative loss and stays one: only the median of
    the pairs is told. Example: 100 against 90 and 100 against 80 is a loss of 15 %.
    """
    losses = [
        100.0 * (1.0 - slow / fast)
        for fast, slow in zip(free, limited)  # noqa: B905  # strict is Python 3.10
        if fast > 0
    ]
    if not losses:
        return None
    noise = 100.0 * (max(free) - min(free)) / statistics.median(free)
    return Loss("paired", statistics.median(losses), throttled_share, len(losses), noise)


def throttled_loss(
    used_seconds: float, throttled_seconds: float, throttled_share: float | None
) -> Loss | None:
    """Return the loss by the kernel's own count: time stopped over time wanted.

    Example: 8 s used and 2 s stopped is a loss of 20 %. None when the group did not run.
    """
    wanted = used_seconds + throttled_seconds
    if wanted <= 0:
        return None
    return Loss("throttledTime", 100.0 * throttled_seconds / wanted, throttled_share, 1)


def judge_loss(loss: Loss, limit_cores: float) -> Finding:
    """Return the verdict: above 3 % warns, above 15 % fails.

    A loss within the noise of the free runs is unknown, unless that noise itself is within 3 %.
    """
    if loss.noise_percent > WARN_PERCENT and loss.percent <= loss.noise_percent:
        why = (
            f"the same work without a limit varied by {loss.noise_percent:.0f} % (n={loss.pairs}), "
            f"so a loss of {loss.percent:.1f} % says nothing"
        )
        return codes.OVERHEAD_UNKNOWN.unknown(why, "run it on a quiet node, or longer: --seconds")
    verdict: Verdict = "pass"
    if loss.percent > WARN_PERCENT:
        verdict = "fail" if loss.percent > FAIL_PERCENT else "warn"
    share = "unknown" if loss.throttled_share is None else f"{100 * loss.throttled_share:.0f} %"
    evidence = (
        f"{loss.percent:.1f} % lost under a limit of {limit_cores:g} CPU ({loss.method}, "
        f"n={loss.pairs}), stopped in {share} of the periods"
    )
    if verdict == "pass":
        return codes.OVERHEAD.passed(evidence)
    whole = max(1, round(limit_cores + 0.49))
    fix = f'`resources.limits.cpu: "{whole}"` (whole CPUs), or no CPU limit with the same request'
    return codes.OVERHEAD.found(verdict, evidence, fix)


def judge_startup(phases: Mapping[str, float | None], image_bytes: int | None) -> Finding:
    """Return where the time to the first answer goes; what is not known is named, never zero."""
    known = {name: seconds for name, seconds in phases.items() if seconds is not None}
    missing = [name for name, seconds in phases.items() if seconds is None]
    size = "" if image_bytes is None else f"; image {image_bytes / 1e9:.2f} GB"
    if not known:
        return codes.STARTUP_SPLIT.unknown(f"no phase is known{size}")
    told = ", ".join(f"{name.replace('_', ' ')} {s:.1f} s" for name, s in known.items())
    if missing:
        return codes.STARTUP_SPLIT.unknown(f"{told}; not known: {', '.join(missing)}{size}")
    return codes.STARTUP_SPLIT.passed(f"{told}{size}")


def judge_image(reference: str, labels: Mapping[str, str]) -> list[Finding]:
    """Return the finding of a `-devel` base, by the image's tag or the label of its base."""
    witnesses = {"reference": reference}
    witnesses.update({name: labels[name] for name in _BASE_LABELS if name in labels})
    base = devel_base(witnesses)
    if base is None:
        return []
    return [codes.IMAGE_DEVEL.warned(f"{base.witness} {base.reference}", base.fix)]
