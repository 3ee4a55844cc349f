"""What every test may ask for: a real API server of this run's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.binaries import missing_binaries
from devcluster.control_plane import PROGRAMS, control_plane
from devcluster.settings import current

CRDS = Path(__file__).parents[1] / "crds"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a control plane without a node, started for this run of pytest alone.

    Nothing else works on its objects, and a pod stays Pending for ever. A kubeconfig that
    INFERTUNE_TEST_KUBECONFIG names wins. Without any the test fails, it is never skipped.
    """
    named = os.environ.get("INFERTUNE_TEST_KUBECONFIG")
    if named:
        yield Path(named)
        return
    settings = current()
    if missing_binaries(settings, PROGRAMS):
        # A build takes minutes, and a test has two.
        pytest.fail("no programs in the cache: run `python -m devcluster control-plane -- true`")
    folder = tmp_path_factory.mktemp("control-plane")
    with control_plane(settings, folder, sorted(CRDS.glob("*.yaml"))) as made:
        yield made.kubeconfig
