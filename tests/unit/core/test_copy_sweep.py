"""Which of the target's copies of ConfigMaps may go: those that nothing leads to any more."""

from dataclasses import replace

import pytest

from infertune.core.snapshot import CopyView
from infertune.core.states.copies import sweep_target_copies
from tests.builders import (
    TARGET_UID,
    container_of,
    context_of,
    deployment_of,
    snapshot_of,
    target_of,
)

COPY = CopyView("conf-infertune-0123456789", "copy-uid", frozenset({TARGET_UID}))
REFERENCE = {"configMapRef": {"name": COPY.name}}


def swept(history: frozenset[str] | None, *, named: bool = False, copy: CopyView = COPY) -> int:
    """Return how many copies go."""
    container = container_of(envFrom=[REFERENCE]) if named else container_of()
    target = replace(target_of(deployment_of(container)), history=history)
    snapshot = replace(snapshot_of(target=target), copies=(copy,))
    return len(sweep_target_copies(context_of(snapshot)))


@pytest.mark.parametrize(
    ("history", "named", "gone"),
    [
        pytest.param(frozenset(), False, 1, id="nothing leads to it"),
        pytest.param(frozenset(), True, 0, id="the template alone"),
        pytest.param(frozenset({COPY.name}), False, 0, id="a revision alone"),
        pytest.param(None, False, 0, id="revisions were not read"),
    ],
)
def test_a_copy_goes_when_nothing_leads_to_it(
    history: frozenset[str] | None, *, named: bool, gone: int
) -> None:
    assert swept(history, named=named) == gone


def test_copies_of_other_owners_are_not_ours_to_sweep() -> None:
    assert swept(frozenset(), copy=replace(COPY, owner_uids=frozenset({"another"}))) == 0
