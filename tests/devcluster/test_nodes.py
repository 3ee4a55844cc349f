"""A second node is the first one once more, in a network of its own."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devcluster import binaries, cli, components, config, images, pki
from devcluster.node import Node, node, nodes
from devcluster.settings import Settings, from_environment, saved

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = {name: Path("/bin", name) for name in binaries.PROGRAMS}


@pytest.fixture
def two(settings: Settings) -> Settings:
    tools = settings.cache / "packages" / "bin"
    tools.mkdir(parents=True)
    for name in ("containerd", "ctr", "runc"):
        (tools / name).touch()
    return dataclasses.replace(settings, nodes=2)


def test_the_second_node_has_a_name_an_address_a_range_and_a_folder_of_its_own(
    two: Settings,
) -> None:
    first, second = nodes(two)
    assert (first.name, str(first.address), first.state) == (
        "infertune-node",
        "10.244.0.1",
        two.state,
    )
    assert (first.enter, first.namespace) == ((), None)
    assert second == Node(
        number=2,
        name="infertune-node-2",
        address=IPv4Address("10.244.0.2"),
        pod_range=IPv4Network("10.244.1.0/24"),
        bridge="infertune0",
        state=two.state / "n2",
        run_dir=two.run_dir / "2",
    )
    assert second.enter == ("nsenter", "--net=/run/netns/infertune0-2")
    assert second.plug == "infertune0n2"


def test_an_interface_keeps_to_the_longest_name_that_the_kernel_takes(two: Settings) -> None:
    second = node(dataclasses.replace(two, bridge="a-bridge-of-15-"), 2)
    assert second.plug == "a-bridge-of-1n2"
    assert len(second.plug) == 15


def test_only_what_belongs_to_a_node_is_there_twice(two: Settings) -> None:
    table = {one.name: one.argv for one in components.table(two, PROGRAMS)}
    twice = {name for name in table if name.endswith("-2")}
    assert twice == {"containerd-2", "kubelet-2", "kube-proxy-2"}
    assert set(components.names(two)) == set(table)
    for name in twice:
        assert table[name][:2] == ("nsenter", "--net=/run/netns/infertune0-2")
    assert "--hostname-override=infertune-node-2" in table["kubelet-2"]
    assert f"--kubeconfig={two.conf}/kubelet-2.kubeconfig" in table["kubelet-2"]
    assert "--bind-address=10.244.0.2" in table["kube-proxy-2"]
    assert table["kubelet"][0] == "/bin/kubelet"


def test_a_cluster_of_one_has_nothing_twice(settings: Settings) -> None:
    assert not [name for name in components.names(settings) if name.endswith("-2")]


def test_the_second_kubelet_says_its_own_name(two: Settings) -> None:
    subjects = {leaf.name: leaf.subject for leaf in pki.leaves(two)}
    assert subjects["kubelet"] == "/O=system:nodes/CN=system:node:infertune-node"
    assert subjects["kubelet-2"] == "/O=system:nodes/CN=system:node:infertune-node-2"


def test_the_second_node_gives_out_addresses_of_its_own_range(two: Settings) -> None:
    made = json.loads(config.cni(node(two, 2)))
    assert made["name"] == "devcluster-2"
    (ranges,) = made["plugins"][0]["ipam"]["ranges"]
    assert ranges == [
        {"subnet": "10.244.1.0/24", "rangeStart": "10.244.1.16", "gateway": "10.244.1.1"}
    ]
    # The second node's own address is none that the first gives to a pod.
    first = json.loads(config.cni(node(two, 1)))["plugins"][0]["ipam"]["ranges"][0][0]
    assert IPv4Address(first["rangeStart"]) > node(two, 2).address


def test_the_two_runtimes_share_no_file(two: Settings) -> None:
    texts = [config.containerd(two, one) for one in nodes(two)]
    paths = [
        {line.split(" = ")[1] for line in text.splitlines() if line[:4] in ("root", "stat", "addr")}
        for text in texts
    ]
    assert paths[0] & paths[1] == set()
    assert [len(one) for one in paths] == [3, 3]
    kubelets = [json.loads(config.kubelet(two, one)) for one in nodes(two)]
    assert [one["address"] for one in kubelets] == ["10.244.0.1", "10.244.0.2"]
    assert kubelets[0]["podLogsDir"] != kubelets[1]["podLogsDir"]


def test_a_certificate_for_a_node_that_came_later_is_signed_by_the_same_authority(
    settings: Settings,
) -> None:
    pki.ensure_pki(settings)
    before = {path.name: path.read_bytes() for path in settings.pki.glob("*.crt")}
    pki.ensure_pki(dataclasses.replace(settings, nodes=2))
    after = {path.name: path.read_bytes() for path in settings.pki.glob("*.crt")}
    assert after.keys() - before.keys() == {"kubelet-2.crt"}
    assert {name: after[name] for name in before} == before


def test_the_number_of_nodes_is_kept(two: Settings) -> None:
    two.save()
    assert saved(two.state) == two
    assert from_environment({"HOME": "/h", "DEVCLUSTER_NODES": "2"}).nodes == 2


@pytest.mark.parametrize("wish", ["0", "3", "two", "", "-1", "1.5", "²"])
def test_another_number_than_was_tried_is_refused(
    wish: str, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    assert cli.main(["up", f"--nodes={wish}", f"--state-dir={settings.state}"]) == 2
    assert capsys.readouterr().err == f"devcluster: --nodes: {wish!r}: write 1 or 2\n"
    assert not settings.state.exists()


@pytest.mark.parametrize("command", ["down", "status", "kubeconfig", "prepare", "control-plane"])
def test_the_number_is_said_to_up_alone(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--nodes=2"]) == 2
    said = capsys.readouterr().err
    assert said == f"devcluster: --nodes is said to `up`, not to `{command}`\n"


def test_a_range_without_a_part_for_each_node_is_refused(
    two: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("devcluster.lifecycle.refuse_unfit_machine", lambda: None)
    monkeypatch.setattr("devcluster.exclusion.NAME", f"\0infertune-test-{two.state}")
    monkeypatch.setenv("DEVCLUSTER_POD_RANGE", "10.99.0.0/24")
    assert cli.main(["up", "--nodes=2", f"--state-dir={two.state}"]) == 2
    assert capsys.readouterr().err == (
        "devcluster: DEVCLUSTER_POD_RANGE: 10.99.0.0/24 is too small for 2 nodes; "
        "use a /23 or larger\n"
    )


def test_a_folder_in_which_a_socket_has_no_room_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("devcluster.lifecycle.refuse_unfit_machine", lambda: None)
    monkeypatch.setattr("devcluster.exclusion.NAME", "\0infertune-test-long")
    folder = f"/nowhere/{'x' * 63}"
    assert cli.main(["up", f"--state-dir={folder}"]) == 2
    assert capsys.readouterr().err == (
        f"devcluster: DEVCLUSTER_STATE_DIR: {folder} is longer than 71 bytes, "
        "and sockets lie below it; use a shorter one\n"
    )


class TestImages:
    @pytest.fixture
    def imported(self, two: Settings, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        calls: list[tuple[str, str]] = []

        def run(argv: Sequence[Any], **_: Any) -> str:
            calls.append((str(argv[2]), Path(argv[-1]).name))
            return ""

        monkeypatch.setattr(images, "run", run)
        archive = two.cache / "images" / "localhost-a-1@k.tar"
        archive.parent.mkdir(parents=True)
        archive.touch()
        # The sockets lie below /run: only their presence is asked for.
        monkeypatch.setattr(Settings, "run_dir", two.state / "run")
        for one in nodes(two):
            one.run_dir.mkdir(parents=True)
            one.socket.touch()
        return calls

    def test_an_image_is_given_to_every_node_once(
        self, two: Settings, imported: list[tuple[str, str]]
    ) -> None:
        sockets = [str(one.socket) for one in nodes(two)]
        assert images.load_image("localhost/a:1", two)
        assert imported == [(socket, "localhost-a-1@k.tar") for socket in sockets]
        assert not images.load_image("localhost/a:1", two)
        assert len(imported) == 2

    def test_a_node_that_came_later_gets_what_the_first_has(
        self, two: Settings, imported: list[tuple[str, str]]
    ) -> None:
        images.load_image("localhost/a:1", dataclasses.replace(two, nodes=1))
        imported.clear()
        images.share_images(two)
        images.share_images(two)
        assert imported == [(str(node(two, 2).socket), "localhost-a-1@k.tar")]
