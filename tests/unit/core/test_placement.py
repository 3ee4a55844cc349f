"""Trials run on nodes like those of live pods, and say where they ran."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.core.placement import OfKind, OneOf, kind_of_node, pin_of, pinned, wrong_kind

GPU, TYPE = "nvidia.com/gpu.product", "node.kubernetes.io/instance-type"
LABELS = {
    "a": {GPU: "A100", TYPE: "p4d"},
    "b": {GPU: "A100", TYPE: "p4d"},
    "c": {GPU: "H100", TYPE: "p5"},
    "bare": {},
}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("nodes", "gpus", "wanted"),
    [
        (["a", "a", "c"], 1, OfKind(GPU, "A100")),
        (["a", "c", "c"], 1, OfKind(GPU, "H100")),
        (["a", "c"], 0, OfKind(TYPE, "p4d")),
        (["a", "bare"], 1, OneOf(("a", "bare"))),
        (["unknown"], 1, OneOf(("unknown",))),
        ([], 1, None),
    ],
)
def test_the_kind_of_most_live_pods_counts_and_else_their_very_nodes(
    nodes: list[str], gpus: int, wanted: object
) -> None:
    assert pin_of(nodes, LABELS, gpus=gpus) == wanted


def fits(term: dict[str, Any], name: str, labels: dict[str, str]) -> bool:
    """Whether a node fits a term, as the scheduler decides for the operators used here."""
    rules = [(labels.get(r["key"]), r["values"]) for r in term.get("matchExpressions", ())]
    rules += [(name, rule["values"]) for rule in term.get("matchFields", ())]
    return all(value in values for value, values in rules)


@given(
    zones=st.lists(st.sampled_from(["x", "y"]), max_size=2),
    pin=st.sampled_from([OfKind(GPU, "A100"), OneOf(("a", "c"))]),
    name=st.sampled_from(["a", "b", "c"]),
    zone=st.sampled_from(["x", "y"]),
)
def test_a_pinned_copy_fits_a_node_exactly_when_the_template_and_the_pin_do(
    zones: list[str], pin: OfKind | OneOf, name: str, zone: str
) -> None:
    own = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [z]}]} for z in zones]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": own}}} if own else None
    labels = {**LABELS[name], "zone": zone}
    found = pinned(affinity, pin)["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    by_pin = name in pin.names if isinstance(pin, OneOf) else labels[pin.key] == pin.value
    by_template = not own or any(fits(term, name, labels) for term in own)
    assert any(fits(term, name, labels) for term in found) == (by_pin and by_template)
    # The API server takes one value for each field.
    assert all(len(f["values"]) == 1 for t in found for f in t.get("matchFields", ()))


def test_other_affinity_stays_and_without_live_nodes_nothing_is_pinned() -> None:
    spread = {"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}
    assert pinned(spread, OfKind(TYPE, "p5"))["podAntiAffinity"] == spread["podAntiAffinity"]
    assert pinned(spread, None) == spread


def test_a_node_of_another_kind_is_told_and_one_that_cannot_be_judged_is_not() -> None:
    pin = OfKind(GPU, "A100")
    assert wrong_kind(pin, "c", LABELS) == (
        "node c has nvidia.com/gpu.product=H100, live pods run on A100"
    )
    assert wrong_kind(pin, "b", LABELS) is None
    assert wrong_kind(pin, "unknown", LABELS) is None
    assert wrong_kind(OneOf(("a",)), "c", LABELS) is None
    assert kind_of_node(LABELS["c"], gpus=1) == "nvidia.com/gpu.product=H100"
    assert kind_of_node(LABELS["c"], gpus=0) == "node.kubernetes.io/instance-type=p5"
    assert kind_of_node({}, gpus=1) is None
