"""What was measured is what is applied: an image by digest where a pod's image ID has one."""

from typing import Any

import pytest

from infertune.core.image_pin import by_digest
from tests.builders import OTHER_IMAGE, decide, spec_of, status_of, trial_of

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("image", "image_id", "wanted"),
    [
        ("registry.test/r:int8", f"registry.test/r@{DIGEST}", f"registry.test/r@{DIGEST}"),
        ("registry.test:5000/r", f"mirror.test/r@{DIGEST}", f"registry.test:5000/r@{DIGEST}"),
        ("r:1", f"docker.io/library/r@{DIGEST}", f"r@{DIGEST}"),
        (f"r@{DIGEST}", None, f"r@{DIGEST}"),
        ("r:1", DIGEST, None),
        ("r:1", "sha256:fake", None),
        ("r:1", None, None),
    ],
)
def test_the_digest_goes_behind_the_declared_repository(
    image: str, image_id: str | None, wanted: str | None
) -> None:
    assert by_digest(image, image_id) == wanted


def recommended(**trial: Any) -> Any:
    spec = spec_of(
        mode="Recommend", knobs={"images": [OTHER_IMAGE], "replicas": {"min": 1, "max": 6}}
    )
    other = trial_of(1, 60.0, image=OTHER_IMAGE, quality_drop_percent=0.0, **trial)
    status = status_of("Deciding", trials=(trial_of(1, 12.0), other))
    return decide(status, spec).status.recommendation


def test_another_image_is_recommended_by_the_digest_that_was_measured() -> None:
    found = recommended(image_id=f"registry.test/resnet@{DIGEST}")
    assert found.configuration.image == f"registry.test/resnet@{DIGEST}"
    assert "tag may move" not in found.reason


def test_without_a_digest_the_tag_stays_and_the_recommendation_warns_of_it() -> None:
    found = recommended(image_id="sha256:fake")
    assert found.configuration.image == OTHER_IMAGE
    assert "a tag may move after its trial" in found.reason
