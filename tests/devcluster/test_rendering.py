"""Configuration, image keys and discovery are pure functions of their inputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from devcluster import addons, buildah, config, discovery, dockerfile, images, oci, prometheus
from devcluster.errors import RefusedError
from devcluster.node import node
from devcluster.settings import from_environment, saved

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.settings import Settings


def test_the_kubelet_trusts_nobody_without_a_name(settings: Settings) -> None:
    made = json.loads(config.kubelet(settings, node(settings, 1)))
    assert made["authentication"]["anonymous"] == {"enabled": False}
    assert made["authorization"] == {"mode": "Webhook"}
    assert made["clusterDNS"] == ["10.0.0.10"]
    assert made["cpuCFSQuotaPeriod"] == "10ms"


@pytest.mark.parametrize("wish", ["0", "231", "many", "-1"])
def test_more_pods_than_the_node_has_addresses_for_are_refused(wish: str) -> None:
    with pytest.raises(RefusedError, match=f"DEVCLUSTER_MAX_PODS: '{wish}'"):
        from_environment({"DEVCLUSTER_MAX_PODS": wish})


def test_the_number_of_pods_is_settable_and_kept(settings: Settings) -> None:
    wished = from_environment({"DEVCLUSTER_MAX_PODS": "230", "HOME": str(settings.state)})
    wished.save()
    kept = saved(wished.state)
    assert kept == wished
    assert json.loads(config.kubelet(wished, node(wished, 1)))["maxPods"] == 230
    assert json.loads(config.kubelet(settings, node(settings, 1)))["maxPods"] == 200


def test_a_cluster_that_an_older_version_started_still_loads(settings: Settings) -> None:
    settings.save()
    path = settings.state / "settings.json"
    record = json.loads(path.read_text())
    del record["max_pods"], record["nodes"]
    path.write_text(json.dumps(record))
    assert saved(settings.state) == settings


def test_pods_are_not_masqueraded_and_get_addresses_of_the_node(settings: Settings) -> None:
    bridge = json.loads(config.cni(node(settings, 1)))["plugins"][0]
    assert bridge["ipMasq"] is False
    assert bridge["ipam"]["ranges"][0][0]["subnet"] == "10.244.0.0/24"
    assert bridge["ipam"]["ranges"][0][0]["rangeStart"] == "10.244.0.16"


def test_dns_forwards_nothing(settings: Settings) -> None:
    text = config.corefile(settings)
    assert "forward ." not in text
    assert text.startswith("cluster.local:10053 in-addr.arpa:10053 {")
    assert "rcode NXDOMAIN" in text


def test_the_add_ons_point_at_the_bridge(settings: Settings) -> None:
    text = addons.render(settings, "addons.yaml")
    assert "${" not in text
    assert text.count('addresses: ["10.244.0.1"]') == 2


def test_the_prometheus_manifest_carries_its_configuration(settings: Settings) -> None:
    documents = prometheus.manifest(settings).split("---\n")
    assert set(json.loads(documents[-1])["data"]) == {"prometheus.yml", "discovery.py"}


DOCKERFILE = """ARG BASE=python:3.11-slim
FROM ${BASE} AS deps
COPY lock.txt /lock.txt
RUN --mount=type=bind,source=wheels,target=/w \\
    pip install -r /lock.txt
FROM ${BASE} AS first
COPY --from=deps /v /v
COPY one/ /one/
FROM ${BASE} AS second
COPY ["two", "/two"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("one/a.py", "two/b.py", "wheels/w", "lock.txt", "README.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "rebuilt"),
    [
        ("one/a.py", {"first"}),
        ("two/b.py", {"second"}),
        ("lock.txt", {"first"}),
        ("wheels/w", {"first"}),
        ("README.md", set()),
    ],
)
def test_a_change_rebuilds_only_the_targets_that_hold_it(
    context: Path, changed: str, rebuilt: set[str]
) -> None:
    def keys() -> dict[str, str]:
        targets = ("first", "second")
        return {one: dockerfile.content_key(DOCKERFILE, one, context, {}) for one in targets}

    before = keys()
    (context / changed).write_text("changed")
    after = keys()
    assert {one for one in before if before[one] != after[one]} == rebuilt


def test_another_build_argument_is_another_image(context: Path) -> None:
    plain = dockerfile.content_key(DOCKERFILE, "first", context, {})
    assert plain != dockerfile.content_key(DOCKERFILE, "first", context, {"V": "1"})


@pytest.mark.parametrize(
    ("tag", "full"),
    [
        ("localhost/a:1", "localhost/a:1"),
        ("infertune/operator:dev", "docker.io/infertune/operator:dev"),
        ("server", "docker.io/library/server:latest"),
        ("registry.example:5000/a/b", "registry.example:5000/a/b:latest"),
    ],
)
def test_tags_are_written_as_the_runtime_writes_them(tag: str, full: str) -> None:
    assert images.full_reference(tag) == full


def test_the_environment_wins_over_files_in_the_pip_configuration() -> None:
    listed = ":env:.timeout='9'\nglobal.timeout='5'\nglobal.find-links='/wheels'\n"
    assert buildah.pip_configuration(listed) == "[global]\nfind-links = /wheels\ntimeout = 9\n"
    assert buildah.pip_configuration("") == ""


def test_only_declared_arguments_are_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/certs")
    monkeypatch.setenv("PIP_CERT", "/certs")
    text = "FROM x\nARG SSL_CERT_FILE\nARG HOME\n"
    made = buildah.environment_arguments(text, {"BASE": "b"})
    assert made == {"SSL_CERT_FILE": "/certs", "BASE": "b"}


def test_the_same_program_makes_the_same_image(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"static")
    for name in ("a.tar", "b.tar"):
        oci.write_single_program_image(program, "localhost/p:1", "amd64", tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def pod(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9000"},
        "phase": "Running",
    }
    base.update(changes)
    return {
        "metadata": {"name": "p", "namespace": "n", "annotations": base["annotations"]},
        "spec": {
            "nodeName": "node",
            "containers": [
                {"name": "side", "ports": [{"containerPort": 8000}]},
                {"name": "main", "ports": [{"containerPort": 9000}]},
            ],
        },
        "status": {"podIP": "10.244.0.20", "phase": base["phase"]},
    }


def test_a_pod_that_asks_for_it_is_scraped_at_its_port_with_its_labels() -> None:
    found = discovery.pod_target(pod())
    assert found is not None
    assert found["targets"] == ["10.244.0.20:9000"]
    labels = {key: value for key, value in found["labels"].items() if not key.startswith("_")}
    assert labels == {"namespace": "n", "pod": "p", "container": "main", "node": "node"}


@pytest.mark.parametrize(
    "changes",
    [{"phase": "Pending"}, {"phase": "Succeeded"}, {"annotations": {}}],
    ids=["not-started", "finished", "does-not-ask"],
)
def test_other_pods_are_not_scraped(changes: dict[str, Any]) -> None:
    assert discovery.pod_target(pod(**changes)) is None
