"""Applying, verifying, going back: one write a tick, and each only from a recorded intent."""

from dataclasses import replace
from typing import Any

import pytest

from infertune.api.argument_lists import kept
from infertune.api.conditions import Observation
from infertune.api.status import BatchPlace, TemplateValues
from infertune.core.adoption import owners_before
from infertune.core.evidence import NoData
from infertune.core.intents import intent_of, restore_command
from infertune.core.live_rollout import rollout_complete, rollout_stuck
from infertune.core.plan import ApplyFields, ReleaseFields, SetFinalizer
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import PodShare
from infertune.core.space import Candidate
from tests.builders import (
    IMAGE,
    KEY,
    NOW,
    OTHER_IMAGE,
    after,
    autoscaler_of,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    figures,
    intent_between,
    live_of,
    managed,
    measured,
    rollout_of,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    with_condition,
)

BOUNDS = intent_between().bounds_after
TUNED = target_of(deployment_of(container_of("4")))
WIDE = autoscaler_of(2, 3)
CONFLICT = Observation("FieldConflict", "True", "FieldTaken", "spec.template...image: holds 'x'")
BOUNDS_TAKEN = Observation("FieldConflict", "True", "FieldTaken", "spec.maxReplicas: holds 9")


def applying(**changes: Any) -> Any:
    return status_of("Applying", rollout=rollout_of(**changes))


def verifying(**changes: Any) -> Any:
    return status_of("Verifying", rollout=rollout_of(applied_at=NOW, **changes))


def going_back(**changes: Any) -> Any:
    rollout = rollout_of(rollback_started_at=NOW, evidence="P95 900 ms", **changes)
    return status_of("RollingBack", rollout=rollout)


def stuck(message: str, **status: Any) -> Any:
    gave_up = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": message,
    }
    return deployment_of(container_of("4"), status={"conditions": [gave_up]} | status)


def test_the_finalizer_stands_before_the_first_write() -> None:
    assert decide(applying()).effects == (SetFinalizer(present=True),)
    (first,) = decide(applying(), finalizer=True).effects
    assert isinstance(first, ApplyFields)
    assert first.document["spec"] == {"minReplicas": 2, "maxReplicas": 3}


def test_all_written_and_complete_is_applied() -> None:
    done = decide(applying(), finalizer=True, target=TUNED, autoscaler=autoscaler_of(1, 3))
    assert (done.status.state, done.effects) == ("Verifying", ())
    assert done.status.rollout is not None
    assert done.status.rollout.applied_at == NOW
    assert conditions_of(done.status)["Applied"] == ("True", "RolledOut")


def test_a_rollout_that_is_not_complete_is_waited_for_and_not_for_ever() -> None:
    half = target_of(deployment_of(container_of("4"), status={"availableReplicas": 1}))
    world = {"target": half, "autoscaler": WIDE, "finalizer": True}
    waiting = decide(applying(), **world)
    assert (waiting.status.state, waiting.effects) == ("Applying", ())
    late = decide(applying(), **world, now=after(600))
    assert late.status.state == "RollingBack"
    assert "not complete after 601 s, allowed are 600 s" in late.decision


def test_a_controller_that_gave_up_ends_the_rollout_but_not_by_what_it_said_before() -> None:
    world = {"autoscaler": WIDE, "finalizer": True, "now": after(10)}
    old_words = target_of(stuck("no progress", observedGeneration=2))
    assert decide(applying(), target=old_words, **world).status.state == "Applying"
    found = decide(applying(), target=target_of(stuck("no progress")), **world)
    assert found.status.state == "RollingBack"
    assert "ProgressDeadlineExceeded: no progress" in found.decision
    assert rollout_stuck(deployment_of()) is None


@pytest.mark.parametrize(
    ("raw", "complete"),
    [
        (deployment_of(), True),
        (deployment_of(status={"observedGeneration": 2}), False),
        (deployment_of(status={"replicas": 3}), False),
        (deployment_of(spec={"replicas": 0}, status={"replicas": 0}), False),
        (
            deployment_of(
                kind="StatefulSet", status={"currentRevision": "b", "updateRevision": "b"}
            ),
            True,
        ),
        (
            deployment_of(
                kind="StatefulSet", status={"currentRevision": "a", "updateRevision": "b"}
            ),
            False,
        ),
    ],
)
def test_complete_means_that_every_replica_is_new_and_available(raw: Any, complete: bool) -> None:
    assert rollout_complete(raw) is complete


@pytest.mark.parametrize("status", [applying(), verifying(), going_back()])
@pytest.mark.parametrize("target", [None, target_of(deployment_of(metadata={"uid": "new"}))])
def test_a_target_that_is_gone_or_another_ends_the_rollout(status: Any, target: Any) -> None:
    found = decide(status, target=target, finalizer=True)
    assert (found.status.state, found.effects) == ("Halted", ())
    assert conditions_of(found.status)["Applied"] == ("Unknown", "TargetMissing")


@pytest.mark.parametrize("status", [applying(), verifying(), going_back()])
def test_a_field_that_was_taken_ends_the_rollout_without_another_write(status: Any) -> None:
    found = decide(with_condition(status, CONFLICT), target=TUNED, finalizer=True)
    assert (found.status.state, found.effects) == ("Halted", ())
    (stalled,) = [c for c in found.status.conditions if c.type == "Stalled"]
    assert "the values before: kubectl patch it back" in stalled.message


def test_bounds_that_were_taken_do_not_keep_the_template_from_going_back() -> None:
    status = with_condition(going_back(), BOUNDS_TAKEN)
    found = decide(status, target=TUNED, autoscaler=autoscaler_of(2, 9), finalizer=True)
    (effect,) = found.effects
    assert isinstance(effect, ApplyFields)
    assert effect.document["kind"] == "Deployment"
    ended = decide(status, autoscaler=autoscaler_of(2, 9), finalizer=True)
    assert ended.status.state == "Halted"
    released = [(type(e), e.kind) for e in ended.effects if isinstance(e, ReleaseFields)]
    assert released == [(ReleaseFields, "Deployment"), (ReleaseFields, "HorizontalPodAutoscaler")]
    assert "2-9 were set by somebody else" in ended.status.conditions[-1].message


def test_the_way_back_says_how_long_it_took_and_why() -> None:
    ended = decide(going_back(), now=after(12), finalizer=True)
    assert ended.status.state == "Halted"
    assert ended.decision == "rolled back in 12 s: P95 900 ms"
    assert ended.status.rollout is not None
    assert ended.status.rollout.rolled_back_at == after(12)


def test_replicas_that_do_not_come_up_end_the_waiting_and_not_the_way_back() -> None:
    half = target_of(deployment_of(status={"availableReplicas": 1}))
    world = {"target": half, "autoscaler": WIDE, "finalizer": True}
    assert decide(going_back(), **world).effects == ()
    (effect,) = decide(going_back(), **world, now=after(601)).effects
    assert isinstance(effect, ApplyFields)
    assert effect.document["spec"] == {"minReplicas": 2, "maxReplicas": 2}
    ended = decide(going_back(), target=half, now=after(601), finalizer=True)
    assert ended.status.state == "Halted"
    assert "replicas are still missing after 601 s" in ended.decision


@pytest.mark.parametrize(
    ("live", "state", "verdict"),
    [
        (live_of(0.0), "Stable", "Pass"),
        (live_of(0.3), "RollingBack", "Fail"),
        (live_of(0.3, rate=100.0), "Verifying", None),
        (live_of(0.045), "Verifying", None),
        (live_of(0.0, blocks=3), "Verifying", None),
        (live_of(0.0, errors=10.0), "RollingBack", "Fail"),
        (live_of(0.0, errors=1.1), "Verifying", None),
        (live_of(0.0, errors=NoData("Missing", "no series")), "Verifying", None),
        (None, "Verifying", None),
        (NoData("Unavailable", "down"), "Verifying", None),
    ],
    ids=[
        "kept",
        "broken",
        "broken above the declared demand",
        "between the bounds",
        "too few blocks",
        "surely too many errors",
        "a little too many errors, perhaps",
        "an error guard without data proves nothing",
        "not asked yet",
        "metrics do not answer",
    ],
)
def test_the_verdict_on_live_traffic(live: Any, state: str, verdict: str | None) -> None:
    found = decide(verifying(), target=TUNED, live=live, finalizer=True, now=after(20))
    assert (found.status.state, found.effects) == (state, ())
    assert found.status.rollout is not None
    assert found.status.rollout.verdict == verdict


def test_errors_without_any_request_prove_no_harm() -> None:
    found = decide(
        verifying(), target=TUNED, live=live_of(0.0, errors=measured(50.0, "percent", 0))
    )
    assert found.status.state == "Verifying"


@pytest.mark.parametrize(
    ("wish", "state", "verified"),
    [
        ("Rollback", "RollingBack", ("Unknown", "Inconclusive")),
        ("Keep", "Stable", ("Unknown", "Inconclusive")),
    ],
)
def test_the_deadline_follows_from_the_traffic(
    wish: str, state: str, verified: tuple[str, str]
) -> None:
    """50 requests/s, scrapes of 2 s: about 40 s are needed, four times that are allowed."""
    spec = spec_of(rollout={"warmupSeconds": 5, "onInconclusive": wish})
    unclear = live_of(0.045)
    early = decide(verifying(), spec, target=TUNED, live=unclear, now=after(120))
    assert early.status.state == "Verifying"
    late = decide(verifying(), spec, target=TUNED, live=unclear, now=after(400))
    assert late.status.state == state
    assert conditions_of(late.status)["Verified"] == verified


def test_a_declared_deadline_is_kept() -> None:
    spec = spec_of(rollout={"warmupSeconds": 5, "verificationSeconds": 1000})
    found = decide(verifying(), spec, target=TUNED, live=live_of(0.045), now=after(1000))
    assert found.status.state == "Verifying"


@pytest.mark.parametrize(
    ("baseline", "seconds", "state"),
    [
        (None, 60, "Verifying"),
        (None, 9 + 200, "RollingBack"),
        (figures(rate=1.0), 1000, "Verifying"),
    ],
)
def test_silence_is_judged_by_the_traffic_there_was_before(
    baseline: Any, seconds: float, state: str
) -> None:
    status = verifying().model_copy(update={"baseline": baseline})
    blind = NoData("Unavailable", "down")
    found = decide(status, target=TUNED, live=blind, now=after(seconds))
    assert found.status.state == state
    assert conditions_of(found.status)["MetricsAvailable"] == ("False", "Unavailable")


def test_no_traffic_at_all_is_waited_for_as_if_it_needed_an_hour() -> None:
    silent = live_of(0.0, rate=0.0, blocks=0)
    found = decide(verifying(), target=TUNED, live=silent, now=after(3600))
    assert found.status.state == "Verifying"
    unknown = live_of(0.0, blocks=0)
    unknown = type(unknown)(
        **{
            name: getattr(unknown, name)
            for name in unknown.__dataclass_fields__
            if name != "request_rate"
        },
        request_rate=NoData("Missing", "no rate"),
    )
    assert decide(verifying(), target=TUNED, live=unknown).status.state == "Verifying"


def test_progress_is_written_every_ten_seconds_and_not_at_every_look() -> None:
    first = decide(verifying(), target=TUNED, live=live_of(0.045), now=after(5)).status
    again = decide(first, target=TUNED, live=live_of(0.044), now=after(8)).status
    assert again == first
    later = decide(first, target=TUNED, live=live_of(0.044), now=after(16)).status
    assert later != first


@pytest.mark.parametrize("applied_at", [None, NOW])
def test_a_field_that_changed_while_it_was_verified_gets_no_verdict(applied_at: Any) -> None:
    fields = {"managedFields": [managed("argocd", "MAX_BATCH")]}
    theirs = target_of(deployment_of(container_of("1"), metadata=fields))
    status = status_of("Verifying", rollout=rollout_of(applied_at=applied_at))
    found = decide(status, target=theirs, live=live_of(0.0))
    assert found.status.state == "Halted"
    assert conditions_of(found.status)["FieldConflict"] == ("True", "FieldTaken")
    assert "argocd" in found.decision
    assert "Verified" not in conditions_of(found.status)


def resolved_of(**changes: Any) -> Resolved:
    world = {"target": target_of(deployment_of(**changes))}
    found = resolve(snapshot_of(**world), spec_of())
    assert isinstance(found, Resolved)
    return found


def test_an_intent_holds_what_stood_there_and_where() -> None:
    fields = [managed("helm", "MAX_BATCH", image=True)]
    resolved = resolved_of(container=container_of("08"), metadata={"managedFields": fields})
    assert BOUNDS is not None
    found = intent_of(KEY, spec_of(), resolved, Candidate(OTHER_IMAGE, 4), BOUNDS)
    assert found is not None
    assert found.place == BatchPlace(env="MAX_BATCH")
    assert found.before == TemplateValues(image=IMAGE, batch_value="08")
    assert found.after == TemplateValues(image=OTHER_IMAGE, batch_value="4")
    base = "spec.template.spec.containers[name=server]"
    raw = deployment_of(container=container_of("08"), metadata={"managedFields": fields})
    assert owners_before(found, raw, None) == {
        f"{base}.image": "helm",
        f"{base}.env[name=MAX_BATCH].value": "helm",
    }
    assert len(found.id) == 12


def test_an_image_that_stays_is_not_taken_over() -> None:
    assert BOUNDS is not None
    found = intent_of(KEY, spec_of(), resolved_of(), Candidate(IMAGE, 4), BOUNDS)
    assert found is not None
    assert (found.before.image, found.after.image) == (None, None)


def test_what_already_stands_needs_no_intent() -> None:
    resolved = resolved_of(container=container_of("4"))
    assert resolved.bounds is not None
    assert intent_of(KEY, spec_of(), resolved, Candidate(IMAGE, 4), resolved.bounds) is None


def test_the_command_that_restores_by_hand() -> None:
    intent = intent_between("1", "4", (IMAGE, OTHER_IMAGE))
    assert restore_command(KEY, spec_of(), intent, deployment_of()) == (
        "kubectl -n serving patch deployment resnet -p "
        '\'{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"MAX_BATCH","value":"1"}],'
        f'"image":"{IMAGE}","name":"server"}}]}}}}}}}}\' && '
        'kubectl -n serving patch hpa resnet -p \'{"spec":{"maxReplicas":2,"minReplicas":2}}\''
    )
    absent = restore_command(
        KEY, spec_of(), intent_between(None, "4", bounds=None), deployment_of()
    )
    assert '"$patch":"delete"' in absent
    no_knob = intent_between(bounds=None).model_copy(update={"place": None})
    assert "env" not in restore_command(KEY, spec_of(), no_knob, deployment_of())


def test_a_command_that_is_too_long_names_where_the_values_stand() -> None:
    entries = {"env/NOTE": "x" * 2000}
    values = {"before": TemplateValues(entries=entries), "after": TemplateValues()}
    intent = intent_between(bounds=None).model_copy(update={"place": None, **values})
    command = restore_command(KEY, spec_of(), intent, deployment_of())
    assert "jsonpath={.metadata.annotations.infertune\\.io/last-good}" in command
    assert len(command) <= 1024


def test_the_owner_of_arguments_is_stored() -> None:
    knob = {"batchSize": {"argument": "--max-batch", "values": [4]}}
    fields = [managed("kustomize", args=True)]
    raw = deployment_of(container_of(args=["serve"]), metadata={"managedFields": fields})
    resolved = resolve(snapshot_of(target=target_of(raw)), spec_of(knobs=knob))
    assert isinstance(resolved, Resolved)
    assert BOUNDS is not None
    found = intent_of(KEY, spec_of(knobs=knob), resolved, Candidate(IMAGE, 4), BOUNDS)
    assert found is not None
    path = "spec.template.spec.containers[name=server].args"
    assert owners_before(found, raw, None) == {path: "kustomize"}
    assert found.before == TemplateValues(own_args=kept(("serve",), ()))
    assert found.after == TemplateValues(own_args=kept(("serve", "--max-batch=4"), (1,)))


def test_the_verdict_says_that_the_load_was_uneven() -> None:
    shares = (PodShare("web-0", 600.0, 300.0), PodShare("web-1", 0.0, 300.0))
    live = replace(live_of(0.0), shares=shares, share_seconds=300.0)
    found = decide(verifying(), target=TUNED, live=live, finalizer=True, now=after(20))
    assert found.status.live is not None
    assert found.status.rollout is not None
    assert str(found.status.rollout.evidence).endswith(f"; {found.status.live.uneven}")
    assert "uneven load" in str(found.status.live.uneven)
