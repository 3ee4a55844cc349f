"""Who may run a trial: limits, the line, threads, a restart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from infertune.core.snapshot import Key, Slot
from infertune.runtime.slots import FORGOTTEN_SECONDS, Limits, TrialSlots
from tests.fakes.clock import START

KEYS = [Key(namespace, f"t{n}") for namespace in "ab" for n in range(4)]


def counted(limits: Limits) -> TrialSlots:
    slots = TrialSlots(limits)
    slots.count(())
    return slots


def test_the_first_to_ask_is_the_first_to_run_and_everybody_knows_the_place() -> None:
    slots = counted(Limits(cluster=1))
    a, b, c = KEYS[:3]
    assert slots.ask(a, START).granted
    assert slots.ask(b, START) == Slot(scope="cluster", running=1, limit=1, place=1, waiting=1)
    later = START + timedelta(seconds=1)
    assert slots.ask(c, later) == Slot(scope="cluster", running=1, limit=1, place=2, waiting=2)
    slots.release(a)
    assert not slots.ask(c, later).granted
    assert slots.ask(b, later).granted
    assert slots.ask(a, later + timedelta(seconds=1)).place == 2


def test_a_full_namespace_keeps_nobody_else_back() -> None:
    slots = counted(Limits(cluster=2, namespace=1))
    first, second, elsewhere = Key("a", "1"), Key("a", "2"), Key("b", "1")
    assert slots.ask(first, START).granted
    full = slots.ask(second, START)
    assert (full.scope, full.running, full.limit, full.place) == ("namespace", 1, 1, 1)
    assert slots.ask(elsewhere, START).granted


def test_who_does_not_ask_any_more_does_not_wait() -> None:
    slots = counted(Limits(cluster=1))
    slots.ask(KEYS[0], START)
    slots.ask(KEYS[1], START)
    slots.release(KEYS[0])
    late = START + timedelta(seconds=FORGOTTEN_SECONDS)
    assert slots.ask(KEYS[2], late).granted


def test_after_a_start_nobody_runs_before_the_running_trials_are_counted() -> None:
    slots = TrialSlots(Limits(cluster=1))
    assert slots.ask(KEYS[0], START).counted is False
    slots.count([KEYS[1]])
    assert slots.ask(KEYS[0], START) == Slot(
        scope="cluster", running=1, limit=1, place=1, waiting=1
    )
    assert slots.ask(KEYS[1], START).granted


def test_without_limits_everybody_runs() -> None:
    slots = TrialSlots()
    assert all(slots.ask(key, START).granted for key in KEYS)


def test_many_threads_never_take_more_slots_than_there_are() -> None:
    slots = counted(Limits(cluster=3, namespace=2))
    keys = [Key(str(n % 5), str(n)) for n in range(200)]
    with ThreadPoolExecutor(16) as pool:
        granted = [
            k
            for k, slot in zip(keys, pool.map(lambda k: slots.ask(k, START), keys), strict=True)
            if slot.granted
        ]
    assert len(granted) == 3
    assert all(sum(1 for k in granted if k.namespace == ns) <= 2 for ns in "01234")


STEPS = st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=60)


@given(steps=STEPS, cluster=st.integers(1, 4), namespace=st.integers(1, 3))
def test_no_order_of_asking_and_leaving_breaks_a_limit_or_leaves_a_free_slot_unused(
    steps: list[tuple[Key, bool]], cluster: int, namespace: int
) -> None:
    limits = Limits(cluster, namespace)
    slots, holding = counted(limits), set()
    for at, (key, asks) in enumerate(steps):
        if asks and slots.ask(key, START + timedelta(seconds=at)).granted:
            holding.add(key)
        elif not asks:
            slots.release(key)
            holding.discard(key)
        assert len(holding) <= cluster
        for name in "ab":
            assert sum(1 for one in holding if one.namespace == name) <= namespace
    now = START + timedelta(seconds=len(steps))
    for key in KEYS:
        if slots.ask(key, now).granted:
            holding.add(key)
    for key in KEYS:
        if slots.ask(key, now).granted:
            holding.add(key)
    by_namespace = {name: sum(1 for k in holding if k.namespace == name) for name in "ab"}
    assert len(holding) == min(cluster, 2 * namespace), by_namespace
