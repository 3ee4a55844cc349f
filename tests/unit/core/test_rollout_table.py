"""The state table: every pair of state and event, and the diagram in the docs."""

from pathlib import Path
from typing import get_args

import pytest

from infertune.api.status import StateName
from infertune.core.reconcile import STATES
from infertune.core.rollout import (
    EVENTS,
    ROLLOUT_OPEN,
    TRANSITIONS,
    IllegalTransition,
    RolloutEvent,
    advance,
    diagram,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "state-machine.md"
PAIRS = [(state, event) for state in get_args(StateName) for event in EVENTS]


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_a_pair_leads_where_the_table_says_or_raises(state: StateName, event: RolloutEvent) -> None:
    wanted = TRANSITIONS[state].get(event)
    if wanted is None:
        with pytest.raises(IllegalTransition, match=f"{event} is not an event of {state}"):
            advance(state, event)
    else:
        assert advance(state, event) == wanted


def test_every_state_has_a_row_and_a_function_and_every_event_is_used() -> None:
    assert set(TRANSITIONS) == set(STATES) == set(get_args(StateName))
    assert {event for row in TRANSITIONS.values() for event in row} == set(EVENTS)


def test_an_open_rollout_is_left_only_through_its_end_or_a_halt() -> None:
    out = {
        (state, following)
        for state in ROLLOUT_OPEN
        for following in TRANSITIONS[state].values()
        if following not in ROLLOUT_OPEN
    }
    assert out == {
        ("Applying", "Halted"),
        ("Verifying", "Stable"),
        ("Verifying", "Halted"),
        ("RollingBack", "Halted"),
    }


def test_every_state_is_reached_from_pending_and_leads_to_rest() -> None:
    reached: set[StateName] = {"Pending"}
    while True:
        more = reached | {there for state in reached for there in TRANSITIONS[state].values()}
        if more == reached:
            break
        reached = more
    assert reached == set(get_args(StateName))


def test_the_diagram_in_the_docs_is_the_table() -> None:
    assert f"```mermaid\n{diagram()}```\n" in DOCUMENT.read_text()
