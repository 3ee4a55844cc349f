"""How many points there are, which of them this run tries, and what it tried.

Role: the sample of the CI tier and the books of a run. ``INFERTUNE_EVERY_POINT=1`` tries every
point. Trade-off: the sample is fixed, so that a failure can be repeated: of the points of a story
and a kind every n-th, and beside them the first of each method and effect in the whole book, so
that no door is left out.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256

from infertune.ports import Cluster, MetricsSource
from tests.fakes.doors import EFFECTS, METHODS, port_methods
from tests.scenario.book import Story
from tests.scenario.disturbances import DEAD_SECONDS, KILLED, KINDS, Point
from tests.scenario.play import points
from tests.scenario.tales import BOOK

EVERY_POINT = os.environ.get("INFERTUNE_EVERY_POINT", "") not in {"", "0"}
# Which part of the stories this process plays, of how many: "1/2" and "2/2" share the work.
PART, PARTS = map(int, os.environ.get("INFERTUNE_STORIES_PART", "1/1").split("/"))
ONE_KILL_IN, ONE_FAULT_IN = 32, 400
AT_EVERY_DOOR = frozenset({KILLED, "409", "500", "timeout, done"})
tried: Counter[tuple[str, str]] = Counter()
on_the_server: list[str] = []
mutants: list[str] = []


def mine() -> list[str]:
    """Return the names of the stories that this process plays."""
    return list(BOOK)[PART - 1 :: PARTS]


def all_points(story: Story) -> dict[str, tuple[Point, ...]]:
    """Return every point of a story by kind."""
    return {kind: points(story, kind) for kind in KINDS}


@cache
def firsts() -> frozenset[tuple[str, Point]]:
    """Return the first point of each kind, and of some kinds the first at each door."""
    found: dict[tuple[str, str], tuple[str, Point]] = {}
    for story in BOOK.values():
        for kind, some in all_points(story).items():
            for point in some:
                door = (point.effect or point.method) if kind in AT_EVERY_DOOR else ""
                found.setdefault((kind, door), (story.name, point))
    return frozenset(found.values())


def chosen(story: Story, kind: str) -> tuple[Point, ...]:
    """Return the points that this run tries."""
    every = points(story, kind)
    if EVERY_POINT:
        return every
    one_in = ONE_KILL_IN if kind in DEAD_SECONDS else ONE_FAULT_IN
    start = sha256(f"{story.name}/{kind}".encode()).digest()[0] % one_in
    spread = set(every[start::one_in])
    return tuple(p for p in every if p in spread or (story.name, p) in firsts())


def planned() -> Iterator[Point]:
    """Return every point that this run tries, in the whole book."""
    for story in BOOK.values():
        for kind in KINDS:
            yield from chosen(story, kind)


def not_hit(some: Iterable[Point]) -> dict[str, set[str]]:
    """Return the effects never ended by a kill, and the methods never met by a kill or a fault."""
    some = tuple(some)
    killed = {p.effect for p in some if p.kind in DEAD_SECONDS}
    met = {p.method for p in some}
    return {
        "effects": set(EFFECTS) - killed,
        "methods": set(METHODS) - met,
    }


def count(kinds: Iterable[str], counted: Counter[tuple[str, str]]) -> int:
    """Return how many points of these kinds were counted."""
    wanted = set(kinds)
    return sum(number for (_, kind), number in counted.items() if kind in wanted)


def totals() -> Counter[tuple[str, str]]:
    """Return how many points there are, by story and kind."""
    return Counter(
        {
            (story.name, kind): len(some)
            for story in BOOK.values()
            for kind, some in all_points(story).items()
        }
    )


PORT_METHODS = {"Cluster": port_methods(Cluster), "MetricsSource": port_methods(MetricsSource)}
