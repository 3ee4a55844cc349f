"""What kubelet and runtimes say of an image that does not run, as people need to hear it."""

import pytest

from infertune.core.image_trouble import ImageTrouble, image_trouble
from infertune.core.outcomes import outcome_of
from infertune.core.resolve import Resolved, resolve
from infertune.core.trial_result import Ending
from infertune.core.trials import TrialJobs, next_step
from tests.builders import after, job_of, snapshot_of, spec_of, trial_of

PROCESSOR = (
    "the image is not built for the processor of the node: name one that is, or a multi-platform "
    "image"
)
CASES = [
    pytest.param(
        "StartError",
        'failed to create containerd task: exec: "/server": exec format error: unknown',
        PROCESSOR,
        True,
        id="containerd starts a foreign binary",
    ),
    pytest.param(
        "RunContainerError", "exec format error", PROCESSOR, True, id="the same, still waiting"
    ),
    pytest.param(
        "ErrImagePull",
        "no match for platform in manifest sha256:ab: not found",
        PROCESSOR,
        True,
        id="an index without this platform",
    ),
    pytest.param(
        "ImagePullBackOff",
        "failed to authorize: 401 Unauthorized",
        "the registry wants credentials: give the target imagePullSecrets for it",
        False,
        id="no credentials",
    ),
    pytest.param(
        "ErrImagePull",
        "failed to resolve reference r.test/x:9: not found",
        "the registry has no such image: correct knobs.images",
        False,
        id="no such tag",
    ),
    pytest.param(
        "ErrImagePull",
        "dial tcp: lookup r.test: no such host",
        "the name of the registry does not resolve: correct knobs.images",
        False,
        id="no such registry",
    ),
]


@pytest.mark.parametrize(("reason", "message", "words", "final"), CASES)
def test_the_sentence_names_the_trouble_and_the_fix(
    reason: str, message: str, words: str, final: bool
) -> None:
    expected = ImageTrouble(f"{words} ({reason}: {message})", final)
    assert image_trouble(reason, message) == expected


@pytest.mark.parametrize(
    ("reason", "message"),
    [("Error", "exit code 1"), ("ErrImagePull", "something new"), ("OOMKilled", "not found")],
)
def test_what_nobody_knows_is_left_as_it_stands(reason: str, message: str) -> None:
    assert image_trouble(reason, message) is None


def step(reason: str, message: str, seconds: float) -> object:
    resolved = resolve(snapshot_of(), spec_of())
    assert isinstance(resolved, Resolved)
    server = job_of("t-server", pod_phase="Pending", failure_reason=reason, failure_message=message)
    return next_step(TrialJobs(server, None), resolved, spec_of(), after(seconds))


@pytest.mark.parametrize(("reason", "message", "words", "final"), CASES)
def test_only_a_wrong_processor_ends_the_trial_at_once(
    reason: str, message: str, words: str, final: bool
) -> None:
    told = f"{words} ({reason}: {message})"
    at_once = step(reason, message, 1.0)
    assert (at_once == Ending("Failed", "ImageUnavailable", told)) == final
    late = step(reason, message, 301.0)
    words_late = told if final else f"not running after 301 s: {told}"
    assert late == Ending("Failed", "ImageUnavailable", words_late)


def test_the_search_leaves_an_unavailable_image_out() -> None:
    record = trial_of(image="r.test/x:9", phase="Failed", reason="ImageUnavailable")
    assert outcome_of(record).failure == "ImageUnavailable"
