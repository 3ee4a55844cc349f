"""Label selectors, decided as Kubernetes decides them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.adapters.kube.targets import autoscaler_selector, selector_in
from infertune.core.manifests.naming import labels
from infertune.core.manifests.trial_server import selected_by
from infertune.core.selection import first_picking, selector_of, selects
from infertune.core.snapshot import LabelRule, Selector
from tests.builders import tuning_of

KEYS = st.sampled_from(["app", "tier", "team"])
VALUES = st.sampled_from(["", "a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES)
RULES = st.one_of(
    st.builds(
        LabelRule,
        KEYS,
        st.sampled_from(["In", "NotIn"]),
        st.lists(VALUES, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(LabelRule, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
)
SELECTORS = st.builds(
    Selector,
    st.just("PodDisruptionBudget"),
    st.just("x"),
    LABELS,
    st.lists(RULES, max_size=3).map(tuple),
    st.booleans(),
)


def one(rule: LabelRule) -> Selector:
    return Selector("Service", "x", {}, (rule,))


@pytest.mark.parametrize(
    ("rule", "picked", "left"),
    [
        (LabelRule("tier", "In", ("web", "api")), [{"tier": "api"}], [{"tier": "db"}, {}]),
        (LabelRule("tier", "NotIn", ("web",)), [{"tier": "db"}, {}], [{"tier": "web"}]),
        (LabelRule("tier", "Exists"), [{"tier": ""}], [{}]),
        (LabelRule("tier", "DoesNotExist"), [{}], [{"tier": ""}]),
    ],
)
def test_each_operator_as_the_api_documents_it(
    rule: LabelRule, picked: list[dict[str, str]], left: list[dict[str, str]]
) -> None:
    assert [selects(one(rule), pod) for pod in picked] == [True] * len(picked)
    assert [selects(one(rule), pod) for pod in left] == [False] * len(left)


@given(selector=SELECTORS, pod=LABELS)
def test_a_selector_is_the_and_of_its_parts(selector: Selector, pod: dict[str, str]) -> None:
    parts = [Selector("S", "x", {key: value}) for key, value in selector.match_labels.items()]
    parts += [one(rule) for rule in selector.rules]
    wanted = all(selects(part, pod) for part in parts) if parts else selector.empty_picks_all
    assert selects(selector, pod) == wanted


@given(key=KEYS, values=st.lists(VALUES, min_size=1, max_size=3).map(tuple), pod=LABELS)
def test_in_and_not_in_are_opposites_and_so_are_exists_and_does_not_exist(
    key: str, values: tuple[str, ...], pod: dict[str, str]
) -> None:
    for yes, no in (("In", "NotIn"), ("Exists", "DoesNotExist")):
        one_way, other = LabelRule(key, yes, values), LabelRule(key, no, values)  # type: ignore[arg-type]
        assert selects(one(one_way), pod) is not selects(one(other), pod)


@given(selector=SELECTORS)
def test_one_more_rule_never_picks_more(selector: Selector) -> None:
    narrower = Selector("S", "x", {**selector.match_labels, "infertune.io/role": "server"})
    narrower = Selector("S", "x", narrower.match_labels, selector.rules)
    ours = labels(tuning_of(), "server", "t")
    if selector.match_labels or selector.rules:
        assert selects(selector, ours) or not selects(narrower, ours)


@pytest.mark.parametrize(
    ("kind", "selector", "picks_any_pod"),
    [
        ("Service", None, False),
        ("Service", {}, False),
        ("Service", {"app": "x"}, False),
        ("ReplicationController", {}, False),
        ("PodDisruptionBudget", None, False),
        ("PodDisruptionBudget", {}, True),
        ("PodMonitor", {}, True),
        ("Deployment", {"matchLabels": {"app": "x"}}, False),
    ],
)
def test_an_empty_selector_means_what_the_kind_says(
    kind: str, selector: Any, picks_any_pod: bool
) -> None:
    spec = {} if selector is None else {"selector": selector}
    found = selector_in(kind, {"metadata": {"name": "n"}, "spec": spec})
    assert (found is not None and selects(found, {"any": "pod"})) is picks_any_pod


def test_a_trial_is_refused_by_the_first_object_that_picks_it_and_it_is_named() -> None:
    harmless = Selector("Service", "live", {"app": "resnet"})
    outsiders = selector_of(
        "PodDisruptionBudget",
        "everything-but-batch",
        {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["batch"]}]},
        empty_picks_all=True,
    )
    assert outsiders is not None
    found = selected_by(tuning_of(), "t", (harmless, outsiders))
    assert (found and found.kind, found and found.name) == (
        "PodDisruptionBudget",
        "everything-but-batch",
    )
    assert first_picking((harmless,), labels(tuning_of(), "load", "t")) is None


def test_an_operator_that_we_do_not_know_counts_as_picking_every_pod() -> None:
    rule = {"key": "tier", "operator": "Gt", "values": ["3"]}
    found = selector_of("Service", "new", {"matchExpressions": [rule]}, empty_picks_all=False)
    assert found is not None
    assert selects(found, {})


def test_an_autoscaler_counts_what_its_target_selects() -> None:
    def workload(name: str, picked: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        spec = {"selector": {"matchLabels": dict(picked)}}
        return "Deployment", {"metadata": {"name": name}, "spec": spec}

    loose = workload("loose", {"app.kubernetes.io/managed-by": "infertune"})
    scaler = {
        "metadata": {"name": "greedy"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "loose"}},
    }
    found = autoscaler_selector(scaler, [workload("other", {"a": "b"}), loose])
    assert found == Selector(
        "HorizontalPodAutoscaler", "greedy", {"app.kubernetes.io/managed-by": "infertune"}
    )
    assert autoscaler_selector(scaler, [workload("other", {"a": "b"})]) is None
