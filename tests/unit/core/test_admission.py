"""Refusals of pods, by the sentences that API servers really say.

The sentences of quota, LimitRange, Pod Security and policies were copied from a Kubernetes 1.37
API server, see tests/conformance/test_refused_pods.py.
"""

import pytest

from infertune.api.status import TrialRecord
from infertune.core.admission import refusal_of
from infertune.core.outcomes import outcome_of
from infertune.core.trials import TrialJobs, next_step
from tests.builders import after, job_of, spec_of
from tests.unit.core.test_trials import resolved_of

SENTENCES = {
    'pods "t-server-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, '
    "limited: pods=0": "QuotaExceeded",
    'pods "t-server-x" is forbidden: failed quota: cpu: must specify limits.cpu for: '
    "server": "QuotaExceeded",
    'pods "t-server-x" is forbidden: maximum cpu usage per Container is 100m, but limit is '
    "200m": "LimitRange",
    'pods "t-server-x" is forbidden: minimum memory usage per Pod is 1Gi, but request is '
    "256Mi": "LimitRange",
    'pods "t-server-x" is forbidden: cpu max limit to request ratio per Container is 2, but '
    "provided ratio is 4.000000": "LimitRange",
    'pods "t-server-x" is forbidden: violates PodSecurity "restricted:latest": '
    "runAsNonRoot != true": "PodSecurity",
    'admission webhook "validate.kyverno.svc-fail" denied the request: no': "PolicyDenied",
    "ValidatingAdmissionPolicy 'no-trials' with binding 'b' denied request: no": "PolicyDenied",
    'pods "x" is forbidden: error looking up service account a/b: not found': "Refused",
    "": "Refused",
}


@pytest.mark.parametrize(("sentence", "word"), SENTENCES.items())
def test_a_refused_pod_ends_the_trial_at_once_with_its_own_word_and_the_fix(
    sentence: str, word: str
) -> None:
    refused = refusal_of(sentence)
    assert refused.word == word
    assert refused.message.startswith(sentence)
    assert len(refused.message) > len(sentence)
    server = job_of(
        "t-server",
        pod_name=None,
        pod_phase=None,
        pod_ip=None,
        failure_reason="FailedCreate",
        failure_message=sentence,
    )
    found = next_step(TrialJobs(server, None), resolved_of(), spec_of(), after(1))
    assert (found.phase, found.reason, found.message) == ("Failed", word, refused.message)  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["QuotaExceeded", "LimitRange", "PodSecurity", "PolicyDenied"])
def test_a_refusal_speaks_of_the_cluster_and_never_of_the_candidate(word: str) -> None:
    assert outcome_of(TrialRecord(phase="Failed", reason=word)).failure == "Refused"
