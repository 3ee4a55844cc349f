"""The ground of each test, and the manifests that the other hands work with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.ownership.ground import Ground, documents, hasten


@pytest.fixture
def ground(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """A namespace of its own with an operator over it."""
    hasten(monkeypatch, kubeconfig)
    found = Ground(kubeconfig)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The user's own file: a Deployment with a batch cap of 1, and its autoscaler."""
    path = tmp_path / "server.yaml"
    path.write_text(yaml.safe_dump_all(documents()))
    return path
