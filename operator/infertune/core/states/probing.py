"""Probing: check the nodes where the target runs, before any trial costs anything.

Role: one Job per probe and node, their findings in status, and the gate that they form. Must not
know: trials. Trade-off: at most a few nodes are probed, since pods of one target mostly share a
kind of node.
"""

from typing import Any

from infertune.api.conditions import Observation
from infertune.api.node_status import ProbeSummary
from infertune.core.device_gate import BESIDE_HEALTH
from infertune.core.manifests.naming import probe_job_name
from infertune.core.manifests.probe_jobs import (
    benchmark_job,
    gpu_check_job,
    system_job,
    versions_job,
)
from infertune.core.manifests.target_probe import profiler_job
from infertune.core.node_driver import recorded_driver
from infertune.core.plan import CreateObject, Effect, Event
from infertune.core.render import number
from infertune.core.resolve import Problem, Resolved, resolve
from infertune.core.snapshot import JobRole, JobView, ProbeFailure, RawObject
from infertune.core.states.cleanup import delete_job
from infertune.core.states.ground import ground_moved
from infertune.core.states.pending import not_there
from infertune.core.states.profiling import not_profiled
from infertune.core.story import Context, Outcome
from infertune_probes.contract.load import Envelope
from infertune_probes.contract.profiler_result import ProfilerResult

WAIT_SECONDS = 5.0
_LONGEST_SUMMARY = 512


def probing(context: Context) -> Outcome:
    """Return the next step: create Jobs, record results, or pass the gate."""
    resolved = resolve(context.snapshot, context.spec)
    if isinstance(resolved, Problem):
        return not_there(resolved)
    moved = ground_moved(context, resolved)
    if moved is not None:
        return moved
    wanted = _wanted(context, resolved)
    kept = [s for s in context.status.probes if (s.probe, s.node) in set(wanted)]
    recorded = {(summary.probe, summary.node) for summary in kept}
    by_name = {job.name: job for job in context.snapshot.jobs}
    fresh: list[ProbeSummary] = []
    names = {probe_job_name(context.tuning, probe, node) for probe, node in wanted}
    effects: list[Effect] = [
        delete_job(context.key, job) for job in context.snapshot.jobs if job.name not in names
    ]
    for probe, node in wanted:
        job = by_name.get(probe_job_name(context.tuning, probe, node))
        if (probe, node) in recorded:
            effects.extend([] if job is None else [delete_job(context.key, job)])
        elif job is None and probe == "profiler" and (refusal := not_profiled(context, node)):
            fresh.append(refusal)
        elif job is None:
            effects.append(CreateObject(_manifest(context, resolved, probe, node)))
        else:
            summary = _summary(context, job, probe, node)
            fresh.extend([] if summary is None else [summary])
    if fresh:
        summaries = (*kept, *fresh)
        words = "; ".join(f"{s.probe} on {s.node}: {s.summary}" for s in fresh)
        return Outcome(
            changes=(("probes", summaries),),
            effects=tuple(effects),
            decision=words,
            requeue_seconds=0.0,
        )
    if len(recorded) < len(wanted):
        return Outcome(effects=tuple(effects), requeue_seconds=WAIT_SECONDS)
    return _gate(context, tuple(kept), tuple(effects))


def _wanted(context: Context, resolved: Resolved) -> list[tuple[JobRole, str]]:
    """Return the probes and their nodes; a model is the same everywhere and profiled once."""
    nodes = context.status.target.nodes
    wanted = [(probe, node) for node in nodes for probe in _probes(context, resolved)]
    if context.spec.probes.profiler is not None:
        wanted += [("profiler", node) for node in nodes[:1]]
    return wanted


def _probes(context: Context, resolved: Resolved) -> tuple[JobRole, ...]:
    probes = context.spec.probes
    wanted: list[JobRole] = []
    if probes.gpu_check != "Disabled":
        wanted.append("gpu")
    if probes.benchmark == "Enabled":
        wanted.append("benchmark")
    if probes.versions != "Disabled" and resolved.gpus:
        wanted.append("versions")
    if probes.system == "Enabled":
        wanted.append("system")
    return tuple(wanted)


def _manifest(context: Context, resolved: Resolved, probe: JobRole, node: str) -> RawObject:
    installation = context.snapshot.installation
    if probe == "gpu":
        return gpu_check_job(context.tuning, context.spec, resolved, node, installation)
    if probe == "versions":
        return versions_job(context.tuning, resolved, node, installation)
    if probe == "system":
        return system_job(context.tuning, resolved, node, installation)
    if probe == "profiler":
        return profiler_job(context.tuning, context.spec, resolved, node, installation)
    return benchmark_job(context.tuning, resolved, node, installation)


def _summary(context: Context, job: JobView, probe: JobRole, node: str) -> ProbeSummary | None:
    if isinstance(job.result, Envelope):
        read = job.result.result
        return ProbeSummary(
            probe=probe,
            node=node,
            verdict=job.result.verdict,
            code=gravest(job.result),
            summary=sentence(job.result),
            driver=recorded_driver(job.result.versions),
            **(_reading(read) if isinstance(read, ProfilerResult) else {}),
        )
    if isinstance(job.result, ProbeFailure):
        words = f"{job.result.reason}: {job.result.message}"
        return ProbeSummary(probe=probe, node=node, verdict="unknown", summary=words[:512])
    waited = context.seconds_since(job.created_at)
    never_ran = job.pod_phase in {None, "Pending"}
    late = never_ran and waited > context.spec.trial.scheduling_timeout_seconds
    if late or (job.finished and job.pod_name is None):
        words = f"no result: {job.failure_reason or 'the pod never ran'}; {job.failure_message}"
        return ProbeSummary(probe=probe, node=node, verdict="unknown", summary=words[:512])
    return None


def _reading(read: ProfilerResult) -> dict[str, Any]:
    """Return of a profile what the search listens to; a model without a device tells nothing."""
    busy = read.busy_share if read.on_device else None
    percent = None if busy is None else round(100 * busy, 1)
    return {"bound": read.bound, "busy_percent": percent, "confidence": read.confidence}


def gravest(envelope: Envelope) -> str:
    """Return the code of the worst finding; what says nothing against health comes last."""
    rank = {"fail": 0, "unknown": 1, "warn": 2, "pass": 3}
    found = min(
        envelope.findings, key=lambda f: (rank[f.verdict], f.code in BESIDE_HEALTH), default=None
    )
    return "" if found is None else found.code


def sentence(envelope: Envelope) -> str:
    """Return a probe's result in one sentence: the finding to read first, and its best figure.

    What a pod without rights can never read comes after every warning.
    """
    rank = {"fail": 0, "unknown": 1, "warn": 2, "pass": 4}
    first = min(
        envelope.findings,
        key=lambda f: 3 if f.verdict == "unknown" and f.code in BESIDE_HEALTH else rank[f.verdict],
        default=None,
    )
    figures = [m for m in envelope.measurements if m.value is not None]
    best = max(figures, key=lambda m: (m.name.endswith("_best"), m.value), default=None)
    parts = [f"{first.code}: {first.evidence}"] if first is not None else []
    if best is not None and best.value is not None:
        parts.append(f"{best.name} {number(best.value)} {best.unit}")
    return "; ".join(parts)[:_LONGEST_SUMMARY]


def _unproven(summary: ProbeSummary) -> bool:
    """Return whether no healthy device was shown; older summaries only lead with the code."""
    code = summary.code or summary.summary.partition(":")[0]
    return summary.verdict == "unknown" and code not in BESIDE_HEALTH


def _gate(
    context: Context, summaries: tuple[ProbeSummary, ...], effects: tuple[Effect, ...]
) -> Outcome:
    failed = [s for s in summaries if s.verdict == "fail"]
    required = context.spec.probes.gpu_check == "Required"
    unproven = [s for s in summaries if s.probe == "gpu" and _unproven(s)]
    blocking = [s for s in failed if s.probe == "gpu"] + (unproven if required else [])
    if blocking:
        first = blocking[0]
        words = f"{first.probe} on {first.node}: {first.summary}"
        stop = Observation("ProbesHealthy", "False", "ProbeFailed", words)
        return Outcome(
            event="ProbesRefused",
            observed=(stop, Observation("Stalled", "True", "ProbesRefused", words)),
            effects=effects,
            told=(Event("Warning", "ProbesRefused", words),),
            decision=f"stopped before any trial: {words}",
            requeue_seconds=0.0,
        )
    words = "; ".join(f"{s.probe} on {s.node}: {s.verdict}" for s in summaries) or "no probe asked"
    return Outcome(
        event="ProbesDone",
        observed=(_health(summaries, words),),
        effects=effects,
        decision=words,
        requeue_seconds=0,
    )


def _health(summaries: tuple[ProbeSummary, ...], words: str) -> Observation:
    """Return the condition where nothing stops the search: a slow node is searched, and said."""
    failed = next((s for s in summaries if s.verdict == "fail"), None)
    if failed is not None:
        told = f"{failed.probe} on {failed.node}: {failed.summary}; the search goes on"
        return Observation("ProbesHealthy", "False", "ProbeFailed", told)
    if any(s.verdict == "unknown" for s in summaries):
        return Observation("ProbesHealthy", "Unknown", "ProbesInconclusive", words)
    return Observation("ProbesHealthy", "True", "ProbesDone", words)
