"""The running trial: create its Jobs, give way to live pods, record how it ended.

Role: what ``trials`` says of the Jobs, turned into effects and a record. Must not know: which
candidate is next. Trade-off: an ending is recorded in one tick and the Jobs are removed in the
next, so that a crash in between never measures anything twice.
"""

from dataclasses import replace

from infertune.api.status import TrialRecord
from infertune.core.admission import refusal_of
from infertune.core.budget import spent_now
from infertune.core.device_gate import (
    NOT_USED,
    NOT_USED_CODE,
    Verdict,
    awaits_last_look,
    judge_devices,
    looked_at,
    with_devices,
)
from infertune.core.load_access import turned_away
from infertune.core.manifests.config_copy import trial_copies
from infertune.core.manifests.load_arguments import load_arguments
from infertune.core.manifests.probe_jobs import load_job
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.placement import Pin, kind_of_node, pin_of, wrong_kind
from infertune.core.plan import CreateObject, Event
from infertune.core.render import configuration_text, number, shown
from infertune.core.resolve import Resolved
from infertune.core.space import candidate_of
from infertune.core.start_up import start_up_of, with_real_start
from infertune.core.story import Context, Outcome
from infertune.core.trial_gate import WAITING_FOR_SLOT, YIELDED, crowded, gate, starved
from infertune.core.trial_result import Ending, ended, with_result
from infertune.core.trials import (
    Finished,
    StartLoad,
    StartServer,
    TrialJobs,
    TrialStep,
    jobs_of,
    load_blocked,
    next_step,
)
from infertune.core.turning import turned

TRIAL_WAIT_SECONDS = 3.0


def drive(context: Context, resolved: Resolved, record: TrialRecord) -> Outcome:
    """Return the next step of the trial that runs."""
    jobs = jobs_of(record, context.snapshot.jobs)
    record = looked_at(_seen(context, resolved, record, jobs), jobs.server)
    crowded = starved(context.snapshot.target)
    if crowded is not None:
        return _finish(context, ended(record, Ending("Invalid", YIELDED, crowded.message)))
    step = next_step(jobs, resolved, context.spec, context.now)
    if isinstance(step, StartServer | StartLoad):
        return _start(context, resolved, record, step)
    if isinstance(step, Finished):
        return _after_load(context, resolved, record, step)
    if isinstance(step, Ending):
        return _finish(context, ended(record, _with_place(step, record)))
    return Outcome(requeue_seconds=TRIAL_WAIT_SECONDS)


def _after_load(
    context: Context, resolved: Resolved, record: TrialRecord, step: Finished
) -> Outcome:
    """Return how the trial ended, once the look at its devices that follows the load is here."""
    jobs = jobs_of(record, context.snapshot.jobs)
    blocked = load_blocked(jobs.server, resolved, context.spec, step.result)
    blocked = blocked or turned_away(step.result, context.spec)
    if blocked is not None:
        return _finish(context, ended(record, blocked))
    watch = context.snapshot.device_watch
    if awaits_last_look(jobs.server, watch, step.result, context.now):
        return Outcome(requeue_seconds=TRIAL_WAIT_SECONDS)
    looks = judge_devices(jobs.server, watch, step.result, context.spec)
    judged = with_devices(_judged(context, resolved, record, step), looks)
    done = _finish(context, judged)
    idle = _idle_device(judged, looks)
    return replace(done, told=(*done.told, *idle, *_moved_tag(context, resolved, record)))


def pin(context: Context, resolved: Resolved) -> Pin | None:
    """Return where trials of this target may run."""
    target = context.snapshot.target
    nodes = [pod.node for pod in target.pods if pod.node] if target else []
    # While the only replica is lent, the nodes are those where it was found.
    nodes = nodes or list(context.status.target.nodes)
    return pin_of(nodes, context.snapshot.node_labels, gpus=resolved.gpus)


def _seen(
    context: Context, resolved: Resolved, record: TrialRecord, jobs: TrialJobs
) -> TrialRecord:
    """Return the record with node, image and start of the server as it really was."""
    server = jobs.server
    if server is None or server.node is None:
        return record
    labels = context.snapshot.node_labels.get(server.node, {})
    name = str(resolved.container.get("name"))
    changes = {
        "node": server.node,
        "node_kind": kind_of_node(labels, gpus=resolved.gpus),
        "image_id": server.image_ids.get(name),
        "start_up": start_up_of(jobs, name),
    }
    return record.model_copy(update={k: v for k, v in changes.items() if v is not None})


def _judged(
    context: Context, resolved: Resolved, record: TrialRecord, step: Finished
) -> TrialRecord:
    """Return the record with the result, unless it was measured on another kind of node."""
    labels = context.snapshot.node_labels
    foreign = wrong_kind(pin(context, resolved), record.node, labels)
    if foreign is not None:
        return ended(record, Ending("Invalid", "WrongSku", foreign))
    return with_real_start(with_result(record, step.result, context.spec))


def _with_place(ending: Ending, record: TrialRecord) -> Ending:
    """Return the ending with the node, where the node and not the candidate may be to blame."""
    if ending.reason != "Evicted" or record.node is None:
        return ending
    return replace(ending, message=f"{ending.message} (node {record.node})")


def _moved_tag(context: Context, resolved: Resolved, record: TrialRecord) -> tuple[Event, ...]:
    """Return the warning that live pods run something else under the tag that was tried."""
    target, name = context.snapshot.target, str(resolved.container.get("name"))
    if target is None or record.candidate.image != resolved.image or record.image_id is None:
        return ()
    live = {pod.image_ids[name] for pod in target.pods if name in pod.image_ids}
    other = sorted(live - {record.image_id})
    if not other:
        return ()
    words = f"{resolved.image} has moved: live pods run {other[0]}, the trial ran {record.image_id}"
    return (Event("Warning", "TagMoved", words),)


def _idle_device(record: TrialRecord, looks: Verdict | None) -> tuple[Event, ...]:
    """Return the warning that the server left its device idle while load was offered."""
    if looks is None or not looks.not_used:
        return ()
    tried = configuration_text(record.candidate)
    return (Event("Warning", NOT_USED, f"{NOT_USED_CODE} ({tried}): {looks.not_used}"),)


def _start(context: Context, resolved: Resolved, record: TrialRecord, step: TrialStep) -> Outcome:
    installation = context.snapshot.installation
    if isinstance(step, StartLoad):
        arguments = load_arguments(record, context.spec, resolved, step.address)
        manifest = load_job(
            context.tuning, record.name, arguments, context.spec, resolved.template, installation
        )
        return Outcome(effects=(CreateObject(manifest),), requeue_seconds=TRIAL_WAIT_SECONDS)
    ending = _not_now(context, resolved)
    if ending is not None:
        return _finish(context, ended(record, ending))
    if crowded(context.snapshot.slot) is not None:
        # Decided before this operator started; its server was never made.
        return Outcome(requeue_seconds=TRIAL_WAIT_SECONDS)
    candidate = candidate_of(record.candidate)
    wanted = turned(resolved.stand, context.spec.knobs, candidate, context.tuning.uid)
    setting = Setting(installation, pin(context, resolved))
    manifest = server_job(
        context.tuning, context.spec, record.name, wanted.values, resolved, setting
    )
    # A pod that finds its ConfigMap missing waits, or fails for good: the copies come first.
    made = (*trial_copies(context.tuning, wanted.copies), manifest)
    effects = tuple(CreateObject(raw) for raw in made)
    return Outcome(effects=effects, requeue_seconds=TRIAL_WAIT_SECONDS)


def _not_now(context: Context, resolved: Resolved) -> Ending | None:
    """Return how a decided trial ends when its server must not be made after all."""
    closed = gate(context, resolved)
    if closed is not None and closed.reason == WAITING_FOR_SLOT:
        return None
    if closed is not None:
        return Ending("Failed", "Refused", f"{closed.reason}: {closed.message}")
    refusal = _refusal(context)
    if refusal is None:
        return None
    refused = refusal_of(refusal)
    return Ending("Failed", refused.word, refused.message)


def _refusal(context: Context) -> str | None:
    """Return what the API server said when it refused this trial's Job in an earlier tick."""
    found = (c for c in context.status.conditions if c.type == "Stalled" and c.status == "True")
    return next((c.message for c in found if c.reason == "Refused"), None)


def _finish(context: Context, record: TrialRecord) -> Outcome:
    record = record.model_copy(update={"finished_at": context.now})
    trials = tuple(record if t.name == record.name else t for t in context.status.trials)
    words = f"trial {len(trials)} ({configuration_text(record.candidate)}): {_told(record)}"
    spent = spent_now(context.spec, trials, context.now, context.status.search_since)
    return Outcome(
        changes=(("trials", trials), ("spent", spent)),
        told=(Event("Normal", f"Trial{record.phase}", words),),
        decision=words,
        evidence=(("trial", record.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def _told(record: TrialRecord) -> str:
    if record.phase != "Completed":
        return f"{record.phase}, {record.reason}: {record.message}"
    if record.knee_rate is None:
        first = record.levels[0]
        return (
            f"no rate keeps the promise; P95 {shown(first.p95)} at {number(first.offered_rate)}/s"
        )
    knee = min(record.levels, key=lambda level: abs(level.offered_rate - (record.knee_rate or 0)))
    words = f"one replica carries {number(record.knee_rate)}/s with P95 {shown(knee.p95)}"
    if record.devices is None or record.devices.used == "Yes":
        return words
    return f"{words}; its devices: {record.devices.note}"
