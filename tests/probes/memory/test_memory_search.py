"""The search for the batch at which memory runs out, against devices that are one number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune_probes.memory.search import (
    FAILED,
    FITS,
    OUT,
    Line,
    Step,
    fitted,
    largest_below,
    largest_fitting,
    next_batch,
    smallest_failing,
)

BASE, ITEM = 1000, 10


def searched(capacity: int, start: int = 1, most: int = 4096) -> list[Step]:
    steps: list[Step] = []
    while (batch := next_batch(steps, start, most)) is not None:
        fits = batch <= capacity
        steps.append(Step(batch, FITS if fits else OUT, BASE + ITEM * batch if fits else None))
    return steps


def test_doubling_then_halving_by_hand() -> None:
    assert [step.batch for step in searched(100)] == [
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        128,
        96,
        112,
        104,
        100,
    ]


@given(capacity=st.integers(0, 5000), start=st.integers(1, 300), most=st.integers(300, 5000))
def test_it_always_ends_near_the_truth_and_never_asks_twice(
    capacity: int, start: int, most: int
) -> None:
    steps = searched(capacity, start, most)
    tried = [step.batch for step in steps]
    assert len(tried) == len(set(tried)) <= 32
    assert max(tried) <= most
    assert min(tried) >= 1
    fits, out = largest_fitting(steps), smallest_failing(steps)
    assert fits <= capacity
    if out is None:
        assert fits == most
    else:
        assert out > capacity
        assert out - fits <= max(1, fits // 16)


def test_another_failure_than_memory_ends_the_search() -> None:
    assert next_batch([Step(1, FITS, 5), Step(2, FAILED, reason="no")], 1, 100) is None


def test_the_line_through_the_peaks_predicts_the_serving_batch() -> None:
    steps = searched(100)
    line = fitted(steps)
    assert line is not None
    assert (round(line.base), round(line.per_item), line.n) == (BASE, ITEM, 9)
    assert line.batch_at(1700) == 70
    assert largest_below(steps, 1700) == 64


@pytest.mark.parametrize("capacity", [0, 1, 2])
def test_too_few_points_make_no_line(capacity: int) -> None:
    assert fitted(searched(capacity, most=2)) is None


def test_a_line_that_does_not_grow_meets_no_limit() -> None:
    assert Line(10.0, 0.0, 3).batch_at(100) is None
