"""Whether a label selector picks a pod, exactly as Kubernetes decides it.

Role: from a selector as it stands in an object, and labels, to yes or no. Must not know: which
objects have selectors, or what follows from a match. Trade-off: a selector with an operator that
we do not know counts as picking every pod, since a guess could let live traffic reach a trial.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from infertune.core.snapshot import LabelRule, Operator, Selector

_OPERATORS: tuple[Operator, ...] = get_args(Operator)


def selects(selector: Selector, pod_labels: Mapping[str, str]) -> bool:
    """Return whether the selector picks a pod with these labels."""
    if not selector.match_labels and not selector.rules:
        return selector.empty_picks_all
    exact = all(pod_labels.get(name) == value for name, value in selector.match_labels.items())
    return exact and all(_holds(rule, pod_labels) for rule in selector.rules)


def first_picking(selectors: Sequence[Selector], pod_labels: Mapping[str, str]) -> Selector | None:
    """Return the first selector that picks a pod with these labels, or None."""
    return next((selector for selector in selectors if selects(selector, pod_labels)), None)


def selector_of(
    kind: str, name: str, label_selector: Mapping[str, Any] | None, *, empty_picks_all: bool
) -> Selector | None:
    """Return a ``LabelSelector`` as it stands in an object; an absent one picks nothing."""
    if label_selector is None:
        return None
    expressions = label_selector.get("matchExpressions") or ()
    if any(raw["operator"] not in _OPERATORS for raw in expressions):
        return Selector(kind, name, {}, (), empty_picks_all=True)
    rules = tuple(
        LabelRule(str(raw["key"]), raw["operator"], tuple(map(str, raw.get("values") or ())))
        for raw in expressions
    )
    labels = dict(label_selector.get("matchLabels") or {})
    return Selector(kind, name, labels, rules, empty_picks_all)


def _holds(rule: LabelRule, labels: Mapping[str, str]) -> bool:
    """Return whether one rule holds; NotIn holds for a pod without the label, as in Kubernetes."""
    if rule.operator == "Exists":
        return rule.key in labels
    if rule.operator == "DoesNotExist":
        return rule.key not in labels
    found = labels.get(rule.key)
    if rule.operator == "In":
        return found is not None and found in rule.values
    return found is None or found not in rule.values
