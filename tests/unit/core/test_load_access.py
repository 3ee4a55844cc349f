"""A load that is not let in voids the trial by name, and blames no candidate."""

from typing import Any

import pytest

from infertune.core.load_access import (
    LOAD_ACCESS_WORDS,
    SECRET_GRACE_SECONDS,
    secret_missing,
    turned_away,
)
from infertune.core.manifests.load_arguments import load_arguments
from infertune.core.manifests.probe_jobs import load_job
from infertune.core.outcomes import outcome_of
from infertune.core.resolve import Resolved, resolve
from infertune_probes.contract.load import Envelope
from tests.builders import (
    INSTALLATION,
    NOW,
    after,
    conditions_of,
    decide,
    ended_job,
    job_of,
    snapshot_of,
    spec_of,
    status_of,
    trial_of,
    tuning_of,
)
from tests.fakes import envelopes

HEADERS = [
    {"name": "Authorization", "secret": "client", "key": "token"},
    {"name": "X-Tenant", "secret": "tenants", "key": "ours"},
]
KEYED = spec_of(load={"headersFrom": HEADERS})
OPEN = spec_of()
RESULT = envelopes.load([10.0, 20.0], lambda _: 60.0, 200, 30, NOW)
RUNNING = trial_of(1, phase="Running", finished_at=None, name="t", rates=(10.0,))
SERVER = job_of("t-server")
ENVELOPE_OF_NOBODY = RESULT.model_copy(update={"result": None})


def answered(sent: int = 300, **errors: int) -> Envelope:
    """Return a load of one level with these errors."""
    changes = {"errors": errors, "sent": sent, "completed": sent - sum(errors.values())}
    level = RESULT.load.levels[0].model_copy(update=changes)
    return RESULT.model_copy(update={"result": RESULT.load.model_copy(update={"levels": (level,)})})


def golden(*reasons: str | None) -> Envelope:
    """Return golden answers that went wrong for these reasons; None is a right one."""
    right = sum(1 for reason in reasons if reason is None)
    quality = envelopes.load([], lambda _: 1.0, 200, 30, NOW, (right, len(reasons))).load.quality
    cases = tuple(
        case.model_copy(update={"reason": reason, "passed": reason is None})
        for case, reason in zip(quality.cases, reasons, strict=True)
    )
    told = RESULT.load.model_copy(
        update={"levels": (), "quality": quality.model_copy(update={"cases": cases})}
    )
    return RESULT.model_copy(update={"result": told})


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        pytest.param(answered(), None, id="all is well"),
        pytest.param(answered(status_401=300), "LoadUnauthorized", id="no credential"),
        pytest.param(answered(status_403=4), "LoadUnauthorized", id="more than may fail"),
        pytest.param(answered(status_403=3), None, id="as many as may fail"),
        pytest.param(answered(status_500=300), None, id="the server fails"),
        pytest.param(answered(status_429=300), "LoadRateLimited", id="nothing but 429"),
        pytest.param(answered(status_429=299), None, id="an overloaded server answers some"),
        pytest.param(answered(sent=0), None, id="nothing was sent"),
        pytest.param(golden("status_401", None), "LoadUnauthorized", id="golden, no credential"),
        pytest.param(golden("status_429"), "LoadRateLimited", id="golden, limited"),
        pytest.param(golden("$.a: off by 3", None), None, id="golden, a wrong answer"),
        pytest.param(golden(None), None, id="golden, right"),
        pytest.param(ENVELOPE_OF_NOBODY, None, id="no result"),
    ],
)
def test_only_a_load_that_was_turned_away_is_void(result: Envelope, wanted: str | None) -> None:
    found = turned_away(result, KEYED)
    assert (found and found.reason) == wanted
    assert found is None or found.phase == "Invalid"


def test_the_sentence_names_what_to_correct() -> None:
    keyed, bare = (turned_away(answered(status_401=300), spec) for spec in (KEYED, OPEN))
    assert keyed is not None
    assert keyed.message == (
        "the server answered 401 to 300 of 300 requests: correct the header Authorization from "
        "client/token, X-Tenant from tenants/ours, then set the annotation infertune.io/retry to "
        "a new value"
    )
    assert bare is not None
    assert bare.message.endswith("name the Secret with its credential in spec.load.headersFrom")


def test_a_header_without_a_value_is_told_by_its_name() -> None:
    told = envelopes.finding("HEADER_UNUSABLE", "unknown", "header X-Tenant has no value")
    found = turned_away(envelopes.envelope("load", "node-1", NOW, [told]), KEYED)
    assert found is not None
    assert found.reason == "LoadHeaderUnusable"
    assert found.message.startswith("header X-Tenant has no value: correct the Secret")


def waiting(reason: str = "CreateContainerConfigError") -> Any:
    return job_of(
        "t-load", "load", pod_phase="Pending", failure_reason=reason,
        failure_message='secret "client" not found',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("job", "spec", "waited", "void"),
    [
        pytest.param(waiting(), KEYED, SECRET_GRACE_SECONDS, True, id="missing"),
        pytest.param(waiting(), KEYED, SECRET_GRACE_SECONDS - 1, False, id="it may come"),
        pytest.param(waiting(), OPEN, SECRET_GRACE_SECONDS, False, id="no header is asked for"),
        pytest.param(waiting("Unschedulable"), KEYED, 60.0, False, id="no room"),
    ],
)
def test_a_missing_secret_is_told_after_a_moment(
    job: Any, spec: Any, waited: float, void: bool
) -> None:
    found = secret_missing(job, spec, waited)
    assert (found is not None) == void
    if found is not None:
        assert (found.phase, found.reason) == ("Invalid", "LoadSecretMissing")
        assert found.message.startswith('secret "client" not found; spec.load.headersFrom needs ')
        assert "client/token, tenants/ours (Secret/key)" in found.message


def test_a_trial_ends_by_name_and_the_tuning_says_so_where_one_looks() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    load = job_of("t-load", "load", created_at=after(-20), pod_phase="Pending",
                  failure_reason="CreateContainerConfigError",
                  failure_message="couldn't find key token in Secret serving/client")  # fmt: skip
    (missing,) = decide(status, KEYED, jobs=(SERVER, load)).status.trials
    assert (missing.phase, missing.reason) == ("Invalid", "LoadSecretMissing")
    done = ended_job("t-load", "load", answered(status_401=300))
    (denied,) = decide(status, KEYED, jobs=(SERVER, done)).status.trials
    assert (denied.phase, denied.reason) == ("Invalid", "LoadUnauthorized")

    ended = decide(status_of("Searching", trials=(denied, denied)), KEYED).status
    assert ended.state == "Deciding", "a second candidate was tried, a third would be no wiser"
    told = decide(ended, KEYED).status
    assert conditions_of(told)["SLOAchievable"] == ("Unknown", "NothingMeasured")
    (seen,) = (c.message for c in told.conditions if c.type == "SLOAchievable")
    assert "LoadUnauthorized: the server answered 401" in seen


@pytest.mark.parametrize("word", sorted(LOAD_ACCESS_WORDS))
def test_no_candidate_is_blamed(word: str) -> None:
    assert outcome_of(trial_of(1, phase="Invalid", reason=word)).failure == "Refused"


def test_the_job_refers_to_the_secret_and_holds_no_value() -> None:
    resolved = resolve(snapshot_of(), KEYED)
    assert isinstance(resolved, Resolved)
    arguments = load_arguments(RUNNING, KEYED, resolved, "10.0.0.9")
    job = load_job(tuning_of(), "t", arguments, KEYED, resolved.template, INSTALLATION)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert [entry for entry in container["env"] if "HEADER" in entry["name"]] == [
        {
            "name": "INFERTUNE_HEADER_0",
            "valueFrom": {"secretKeyRef": {"name": "client", "key": "token"}},
        },
        {
            "name": "INFERTUNE_HEADER_1",
            "valueFrom": {"secretKeyRef": {"name": "tenants", "key": "ours"}},
        },
    ]
    words = container["args"]
    found = [words[i + 1] for i, word in enumerate(words) if word == "--header-env"]
    assert found == ["Authorization=INFERTUNE_HEADER_0", "X-Tenant=INFERTUNE_HEADER_1"]
