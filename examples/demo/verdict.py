"""Did the demo show what it promises?

Role: one sentence for a good run, an error that names the first thing missing for any other. It
must not know how figures were made. Its trade-off: a disagreement between client and Prometheus is
printed but fails nothing, since a shared machine can throttle one of them for a moment.
"""

from demo.errors import DemoError
from demo.observation import Observation
from infertune.api.spec import TuningSpec
from infertune.api.status import Reading, TuningStatus

LOOK = "kubectl describe inferencetuning demo -n demo; kubectl logs deployment/infertune "
LOOK += "-n infertune-system"


def judge_run(
    spec: TuningSpec,
    status: TuningStatus | None,
    before: Observation | None,
    after: Observation | None,
) -> str:
    """Return the outcome of a good run.

    Raises:
        DemoError: The story ended differently; the message says how and where to look.
    """
    problem = _problem(spec, status, before, after)
    if problem is not None:
        message = f"{problem}; look at: {LOOK}"
        raise DemoError(message)
    return "Stable, the promise is kept on live traffic"


def _problem(
    spec: TuningSpec,
    status: TuningStatus | None,
    before: Observation | None,
    after: Observation | None,
) -> str | None:
    if status is None or before is None or after is None:
        return "the run did not reach its end"
    return _bad_ending(status) or _bad_figures(spec, before, after)


def _bad_ending(status: TuningStatus) -> str | None:
    if status.state != "Stable":
        return f"the tuning ended {status.state}: {_evidence(status)}"
    if status.rollout is None:
        return f"nothing was applied: {_evidence(status)}"
    if status.rollout.verdict != "Pass":
        verdict = status.rollout.verdict
        return f"the change was not verified (verdict {verdict}): {_evidence(status)}"
    return None


def _bad_figures(spec: TuningSpec, before: Observation, after: Observation) -> str | None:
    if _setting(before) == _setting(after):
        return "nothing was changed on the Deployment or its autoscaler"
    slo = spec.slo.latency_milliseconds
    if _within(before.client.p95, slo):
        return f"the server kept {slo} ms before the tuning: the machine is faster than the demo"
    for side, p95 in (("client", after.client.p95), ("Prometheus", after.prometheus.p95)):
        if not _within(p95, slo):
            return f"P95 after the tuning is {p95.value} ms by the {side}, not within {slo} ms"
    return None


def _evidence(status: TuningStatus) -> str:
    bad = [
        one.message
        for one in status.conditions
        if (one.type, one.status) in (("Stalled", "True"), ("SLOAchievable", "False"))
    ]
    rollout = status.rollout.evidence if status.rollout else None
    return rollout or next(iter(bad), "") or "no evidence recorded"


def _setting(side: Observation) -> tuple[str, str, int, int]:
    setting = side.setting
    return (setting.batch_size, setting.image, setting.hpa_min, setting.hpa_max)


def _within(p95: Reading, slo_ms: float) -> bool:
    return p95.value is not None and p95.value <= slo_ms
