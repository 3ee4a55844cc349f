from collections.abc import Iterator

import pytest

from tests.conformance.stages import FakeStage, RealStage, Stage


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real_api)])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Every test of this folder plays on the fake cluster and on a real API server."""
    if request.param == "fake":
        yield FakeStage()
        return
    real = RealStage(request.getfixturevalue("kubeconfig"))
    try:
        yield real
    finally:
        real.close()
