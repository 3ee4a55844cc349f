"""A namespace per test, on the control plane of this run of pytest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rollouts.ground import Ground


@pytest.fixture
def ground(kubeconfig: Path) -> Iterator[Ground]:
    """A namespace of its own."""
    made = Ground(kubeconfig)
    try:
        yield made
    finally:
        made.close()
