from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wiring.plane import OperatorProcess, Plane, plane_in, start_operator
from tests.wiring.scenery import StubPrometheus, stub_prometheus


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane for tests that stop it, pause it, or read its audit log."""
    with plane_in(tmp_path_factory.mktemp("plane")) as made:
        yield made


class Operators:
    """Starts operators and ends each of them, whatever happens."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        self._plane = plane
        self._folder = folder
        self._started: list[OperatorProcess] = []

    def start(self, name: str, **environment: str) -> OperatorProcess:
        one = start_operator(self._plane, self._folder, name, environment)
        self._started.append(one)
        return one

    def end(self) -> None:
        for one in self._started:
            one.end()


@pytest.fixture
def operators(plane: Plane, tmp_path: Path) -> Iterator[Operators]:
    made = Operators(plane, tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def prometheus() -> Iterator[StubPrometheus]:
    with stub_prometheus() as stub:
        yield stub
