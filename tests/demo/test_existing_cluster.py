"""On a cluster that was there before, the demo touches and removes only what is its own."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.console import Console
from demo.errors import RefusedError
from demo.install import CRD, OWNED, refuse_occupied, remove_everything
from demo.kubectl import Kubectl
from devcluster.errors import CommandError

OURS, THEIRS = {OWNED: "true"}, {"team": "serving"}
KINDS = {"namespace", "crd", "clusterrole", "clusterrolebinding", CRD}


@dataclass(frozen=True, slots=True)
class RecordedCluster(Kubectl):
    """A cluster that holds objects by (kind, name) and forgets those that are deleted."""

    objects: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def run(self, *words: str | Path, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        verb, kind, name = (*(str(word) for word in words[:3]), "", "")[:3]
        if kind not in KINDS:
            message = f"error: the server doesn't have a resource type {kind!r}"
            raise CommandError(message)
        if verb == "get" and name.startswith("--"):
            found = [one for one in self.objects if one[0] == kind]
            return json.dumps({"items": [{"metadata": {"name": one[1]}} for one in found]})
        if verb == "get":
            labels = self.objects.get((kind, name))
            return "" if labels is None else json.dumps({"metadata": {"labels": labels}})
        self.calls.append(f"{verb} {kind} {name}")
        if verb == "delete":
            del self.objects[kind, name]
        return ""

    def run_helm(self, *words: str | Path, timeout_seconds: float = 300) -> str:
        self.calls.append(f"helm {words[0]} {words[1]}")
        return ""


def _cluster(objects: dict[tuple[str, str], dict[str, str]]) -> RecordedCluster:
    return RecordedCluster(("kubectl",), ("helm",), dict(objects))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("namespace", "monitoring", id="somebody's Prometheus"),
        pytest.param("namespace", "demo", id="somebody's demo"),
        pytest.param("namespace", "infertune-system", id="an installed operator"),
        pytest.param("crd", CRD, id="an installed kind"),
    ],
)
def test_names_that_belong_to_somebody_else_end_the_run(kind: str, name: str) -> None:
    with pytest.raises(RefusedError, match=f"{kind} {name} exists"):
        refuse_occupied(_cluster({(kind, name): THEIRS}))


def test_what_an_earlier_demo_left_is_used_again() -> None:
    refuse_occupied(_cluster({("namespace", "demo"): OURS, ("crd", CRD): OURS}))


def test_everything_of_the_demo_goes_the_tuning_first() -> None:
    """The operator must still be there to close an open rollout of the tuning."""
    mine = {
        ("namespace", "demo"): OURS,
        ("namespace", "infertune-system"): OURS,
        ("namespace", "monitoring"): OURS,
        ("crd", CRD): OURS,
        (CRD, "demo"): {},
        ("clusterrole", "devcluster:prometheus"): {},
        ("clusterrolebinding", "devcluster:prometheus"): {},
        ("namespace", "serving"): THEIRS,
        ("clusterrole", "view"): {},
    }
    cluster = _cluster(mine)
    remove_everything(cluster, Console())
    assert cluster.objects == {("namespace", "serving"): THEIRS, ("clusterrole", "view"): {}}
    assert cluster.calls[:4] == [
        f"delete {CRD} demo",
        "delete namespace demo",
        "helm uninstall infertune",
        "delete namespace infertune-system",
    ]


def test_what_is_not_the_demos_stays_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = {
        ("namespace", "monitoring"): THEIRS,
        ("crd", CRD): THEIRS,
        ("clusterrole", "devcluster:prometheus"): THEIRS,
    }
    cluster = _cluster(theirs)
    remove_everything(cluster, Console())
    assert cluster.objects == theirs
    assert cluster.calls == []
    assert "left alone, not the demo's: namespaces monitoring" in capsys.readouterr().out


def test_an_empty_cluster_is_left_as_it_is() -> None:
    cluster = _cluster({})
    remove_everything(cluster, Console())
    assert cluster.calls == []
