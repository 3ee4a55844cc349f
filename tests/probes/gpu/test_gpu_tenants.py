"""Whose process is it? /proc trees written after the kernel's documentation, proc(5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infertune_probes.gpu.reading import Device
from infertune_probes.gpu.tenants import Tenant, judge_tenants, proc_owner, tenants

if TYPE_CHECKING:
    from pathlib import Path

FIRST, OTHER = "pid:[4026531836]", "pid:[4026532999]"
POD_A = "0::/kubepods.slice/kubepods-pod11111111_2222_4333_8444_555555555555.slice/cri-a.scope"
POD_A_SISTER = POD_A.replace("cri-a", "cri-b")
POD_B = POD_A.replace("pod1111", "pod9999")
OWN, THEIRS = 10, 20


def process(proc: Path, pid: int, cgroup: str, *, namespace: str, opens: str | None = None) -> None:
    folder = proc / str(pid)
    (folder / "ns").mkdir(parents=True)
    (folder / "fd").mkdir()
    (folder / "comm").write_text("python\n")
    (folder / "cgroup").write_text(f"{cgroup}\n")
    (folder / "ns" / "pid").symlink_to(namespace)
    if opens is not None:
        (folder / "fd" / "7").symlink_to(opens)


@pytest.mark.parametrize(
    ("own", "theirs", "ours"),
    [
        pytest.param(POD_A, POD_A, True, id="the-same-container"),
        pytest.param(POD_A, POD_A_SISTER, True, id="another-container-of-the-pod"),
        pytest.param(POD_A, POD_B, False, id="another-pod"),
        pytest.param("0::/user.slice", "0::/system.slice/x.service", False, id="the-node"),
        pytest.param("0::/", "0::/", True, id="a-cgroup-namespace-of-its-own"),
        pytest.param("0::/", "0::/../cri-b.scope", True, id="a-sister-seen-from-a-namespace"),
        pytest.param("0::/", "0::/../../pod-b/cri-c", False, id="a-stranger-from-a-namespace"),
        pytest.param(
            POD_A.replace("0::", "9:memory:"), POD_B.replace("0::", "9:memory:"), False, id="v1"
        ),
    ],
)
def test_whose_by_cgroup_on_the_node(tmp_path: Path, own: str, theirs: str, ours: bool) -> None:
    process(tmp_path, OWN, own, namespace=FIRST)
    process(tmp_path, THEIRS, theirs, namespace=FIRST)
    assert proc_owner(tmp_path, OWN)(THEIRS) == ("python", ours)


@pytest.mark.parametrize(
    ("opens", "told"),
    [
        pytest.param("/dev/nvidia0", ("python", True), id="has-the-device-open"),
        pytest.param("/dev/null", (None, None), id="only-has-the-same-number"),
        pytest.param(None, (None, None), id="its-files-cannot-be-seen"),
    ],
)
def test_in_a_container_a_number_proves_nothing_by_itself(
    tmp_path: Path, opens: str | None, told: tuple[str | None, bool | None]
) -> None:
    process(tmp_path, OWN, "0::/", namespace=OTHER)
    process(tmp_path, THEIRS, "0::/", namespace=OTHER, opens=opens)
    assert proc_owner(tmp_path, OWN)(THEIRS) == told


def test_a_process_that_is_not_in_proc_is_not_known(tmp_path: Path) -> None:
    process(tmp_path, OWN, POD_A, namespace=FIRST)
    assert proc_owner(tmp_path, OWN)(12345) == (None, None)


def a_tenant(ours: bool | None, name: str | None = "python", kind: str = "compute") -> Tenant:
    return Tenant(20, kind, name, ours, 3_000_000_000, {})


@pytest.mark.parametrize(
    ("found", "used", "judged"),
    [
        pytest.param([a_tenant(True)], 4_000_000_000, [], id="ours-alone"),
        pytest.param(
            [a_tenant(False)],
            4_000_000_000,
            [("FOREIGN_PROCESS", "warn", "1 foreign: pid 20 (python, 3.0 GB)")],
            id="a-stranger",
        ),
        pytest.param(
            [a_tenant(None, name=None)],
            4_000_000_000,
            [("HIDDEN_USE", "unknown", "not visible in this container: pid 20 (compute, 3.0 GB)")],
            id="somebody",
        ),
        pytest.param(
            [],
            4_000_000_000,
            [("HIDDEN_USE", "unknown", "4.0 GB in use and no process is listed")],
            id="memory-without-a-process",
        ),
        pytest.param([], 500_000_000, [], id="what-the-driver-keeps"),
        pytest.param([], None, [], id="memory-that-is-not-told"),
        pytest.param(
            [a_tenant(True, kind="mps")],
            None,
            [("MPS_ACTIVE", "pass", "pid 20 (python, 3.0 GB)")],
            id="an-mps-client",
        ),
        pytest.param(
            [a_tenant(True, name="nvidia-cuda-mps-server")],
            None,
            [("MPS_ACTIVE", "pass", "pid 20 (nvidia-cuda-mps-server, 3.0 GB)")],
            id="the-mps-server",
        ),
        pytest.param(
            [a_tenant(True, name="Xorg", kind="graphics")],
            None,
            [("GRAPHICS_PROCESS", "warn", "pid 20 (Xorg, 3.0 GB)")],
            id="a-desktop",
        ),
    ],
)
def test_what_sharing_means(
    found: list[Tenant], used: int | None, judged: list[tuple[str, str, str]]
) -> None:
    device = Device({"index": 0, "uuid": "GPU-a", "memoryUsedBytes": used})
    told = [(f.code, f.verdict, f.evidence) for f in judge_tenants(device, found)]
    assert told == [
        (code, verdict, f"device 0 (GPU-a): {words}") for code, verdict, words in judged
    ]


def test_a_process_that_came_and_went_keeps_its_last_memory_and_its_mean_use() -> None:
    users = [
        {"pid": 7, "kind": "compute", "usedMemoryBytes": 100},
        {"pid": 7, "kind": "compute", "usedMemoryBytes": 300},
    ]
    use = [{"pid": 7, "smPercent": 10}, {"pid": 7, "smPercent": 30}, {"pid": 8, "smPercent": 1}]
    found = tenants(users, use, lambda pid: (f"p{pid}", True))
    assert found == [
        Tenant(7, "compute", "p7", True, 300, {"smPercent": 20.0}),
        Tenant(8, "compute", "p8", True, None, {"smPercent": 1.0}),
    ]
