"""What the contract tests share: the committed CRD, manifests, and a real API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.paths import CRD_FILE, load_yaml
from tests.contract.scratch_api import ScratchApi


@pytest.fixture(scope="session")
def crd() -> dict[str, Any]:
    """The CRD as committed."""
    (document,) = load_yaml(CRD_FILE)
    return document


@pytest.fixture(scope="session")
def scratch_api(crd: dict[str, Any], kubeconfig: Path) -> Iterator[ScratchApi]:
    """A real API server that serves our schema under a group of its own."""
    api = ScratchApi.connect(kubeconfig)
    api.install(crd)
    yield api
    api.remove()
