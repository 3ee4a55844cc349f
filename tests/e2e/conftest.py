"""What the end-to-end tests share: the node, and a stage of their own for each test."""

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import pytest

from demo.errors import DemoError
from devcluster.errors import DevclusterError
from tests.e2e.diagnosis import diagnosis
from tests.e2e.node import Node, prepared_node
from tests.e2e.stage import Stage


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Play last: other tests must not meet the operator that is installed here."""
    items.sort(key=lambda item: "e2e" in item.keywords)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """The node; where there can be none, every test fails with the reason."""
    with ExitStack() as stack:
        missing = ""
        try:
            ready = stack.enter_context(prepared_node())
        except (DemoError, DevclusterError) as error:
            missing = str(error)
        if missing:
            pytest.fail(f"no node for end-to-end tests: {missing}", False)
        yield ready


@pytest.fixture
def stage(node: Node, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A server under live traffic in a namespace named after the test."""
    words = request.node.name.removeprefix("test_").lower()
    name = re.sub(r"[^a-z0-9]+", "-", f"e2e-{words}")[:50].strip("-")
    made = Stage(node, name)
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what a human needs, while the namespace is still there."""
    report = yield
    stage = getattr(item, "funcargs", {}).get("stage")
    if report.failed and report.when == "call" and isinstance(stage, Stage):
        report.sections.append((f"namespace {stage.namespace}", diagnosis(stage)))
    return report
