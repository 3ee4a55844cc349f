"""How the system probe reads /proc and /sys, and the arithmetic of a window, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from infertune_probes.system import counters, facts, groups, processes, window
from infertune_probes.system.advised import mebibytes
from infertune_probes.system.counters import CpuTimes
from infertune_probes.system.files import Files, listed, ranges
from tests.probes.trees import Edit, plant, seen

POD = "pod-cgroup-v2"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0-2,8\n", {0, 1, 2, 8}),
        ("", set()),
        ("5", {5}),
        ("a-b", None),
        (None, None),
    ],
)
def test_a_kernel_list(text: str | None, numbers: set[int] | None) -> None:
    assert listed(text) == (None if numbers is None else frozenset(numbers))


def test_a_kernel_list_is_written_as_it_is_read() -> None:
    assert ranges(frozenset({8, 0, 1, 2, 10, 11})) == "0-2,8,10-11"


def test_a_setting_is_read_in_pieces_that_the_kernel_allows() -> None:
    """A single large read of /proc/sys is refused with ENOMEM; this one is the real kernel's."""
    files = Files(Path("/"))
    assert files.text("proc/sys/kernel/osrelease") is not None
    assert files.unreadable == {}


def test_shares_of_the_processor_add_up() -> None:
    """100 ticks: 20 user, 10 system, 5 iowait, 3 + 2 interrupts, 10 steal, 50 idle."""
    zero = CpuTimes(0, 0, 0, 0, 0, 0, 0)
    use = window.cpu_use(zero, CpuTimes(20, 10, 50, 5, 3, 2, 10))
    assert use == window.CpuUse(20.0, 10.0, 5.0, 5.0, 10.0, 50.0)
    assert use.busy == 35.0
    assert window.cpu_use(zero, zero) is None


def test_iowait_that_ran_backwards_by_a_tick_counts_as_none() -> None:
    before, after = CpuTimes(0, 0, 0, 5, 0, 0, 0), CpuTimes(10, 0, 10, 4, 0, 0, 0)
    assert window.cpu_use(before, after) == window.CpuUse(50.0, 0.0, 0.0, 0.0, 0.0, 50.0)


def test_a_disk_over_ten_seconds(tmp_path: Path) -> None:
    """100 writes, 20,480 sectors, 200 ms waited, 100 ms busy; the partition is left out."""
    (disk,) = window.disks(seen(tmp_path, POD).window)
    assert disk == window.DiskUse(
        name="nvme0n1",
        reads_per_second=0.0,
        writes_per_second=10.0,
        read_bytes_per_second=0.0,
        written_bytes_per_second=20480 * 512 / 10,
        await_ms=2.0,
        busy_percent=1.0,
        operations=100,
    )


def test_processes_over_ten_seconds(tmp_path: Path) -> None:
    """(2600 + 600 - 1000 - 200) ticks of 10 ms are 20 s of 10 s; 250,000 pages of 4 KiB."""
    by_pid = {use.pid: use for use in window.processes(seen(tmp_path, POD).window)}
    assert by_pid[1] == window.ProcessUse(1, "python", 200.0, 1_024_000_000, 0, 1_000_000.0, 9)
    assert by_pid[44] == window.ProcessUse(44, "helper", 0.0, 4_096_000, 0, None, 1)


def test_a_number_that_another_process_took_over_counts_from_zero(tmp_path: Path) -> None:
    """The same number, started at tick 900: all of its 3,200 ticks are of this window."""
    edit = Edit("proc/1/stat", "9 0 500", "9 0 900")
    by_pid = {u.pid: u for u in window.processes(seen(tmp_path, POD, edits=(edit,)).window)}
    assert by_pid[1].cpu_percent == 320.0


def test_a_name_with_blanks_and_brackets_is_read_whole(tmp_path: Path) -> None:
    edit = Edit("proc/44/stat", "(helper)", "(a (b) c)", always=True)
    start, _ = plant(tmp_path, POD, edits=(edit,))
    assert processes.take_census(Files(start)).processes[44].name == "a (b) c"


def test_traffic_of_a_network_namespace(tmp_path: Path) -> None:
    (use,) = window.namespaces(seen(tmp_path, POD).window)
    assert use == window.NamespaceUse(1, "python", 100_000.0, 200_000.0)


def test_what_no_visible_process_accounts_for(tmp_path: Path) -> None:
    """Half of 4 processors worked, 200 % of 400 is all of it; a halved process leaves a quarter."""
    assert window.unattributed_percent(seen(tmp_path / "a", POD).window) == 0.0
    half = Edit("proc/1/stat", "2600 600", "1600 600")
    assert window.unattributed_percent(seen(tmp_path / "b", POD, edits=(half,)).window) == 25.0


def test_the_tightest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    """A pod of 2 CPU with a container of 4: the pod's limit holds, and it says where it stands."""
    inner = "sys/fs/cgroup/pod/box"
    edits = (
        Edit("proc/self/cgroup", "0::/", "0::/pod/box", always=True),
        Edit(f"{inner}/cgroup.controllers", "", "cpu", always=True),
        Edit(f"{inner}/cpu.max", "", "400000 100000", always=True),
        Edit(f"{inner}/memory.max", "", "max", always=True),
        Edit("sys/fs/cgroup/pod/cpu.max", "", "200000 100000", always=True),
        Edit("sys/fs/cgroup/cpu.max", "200000", "max", always=True),
    )
    start, _ = plant(tmp_path, POD, edits=edits)
    group = groups.own_group(Files(start), "self")
    assert (group.cpu_limit, group.cpu_limited_by) == (2.0, "sys/fs/cgroup/pod")
    assert group.memory_limit_bytes == 4 << 30


def test_a_path_of_the_host_that_the_container_cannot_see(tmp_path: Path) -> None:
    """Without a cgroup namespace /proc shows the host's path; what is mounted is our own group."""
    host = Edit("proc/self/cgroup", "0::/", "0::/kubepods.slice/pod1/box", always=True)
    start, _ = plant(tmp_path, POD, edits=(host,))
    assert groups.own_group(Files(start), "self").cpu_limit == 2.0


@pytest.mark.parametrize(
    ("path", "runtime"),
    [
        ("0::/kubepods.slice/cri-containerd-abc.scope", "containerd"),
        ("0::/kubepods.slice/crio-abc.scope", "cri-o"),
        ("0::/system.slice/docker-abc.scope", "docker"),
        ("0::/machine.slice/libpod-abc.scope", "podman"),
        ("0::/user.slice/session-1.scope", None),
    ],
)
def test_the_container_runtime_by_the_path_of_the_group(
    tmp_path: Path, path: str, runtime: str | None
) -> None:
    edits = (
        Edit("proc/self/cgroup", "0::/", path, always=True),
        Edit("proc/self/mountinfo", "io.containerd.snapshotter.v1.overlayfs", "x", always=True),
        Edit("proc/self/mountinfo", "/var/lib/containerd", "/x", always=True),
    )
    start, _ = plant(tmp_path, POD, edits=edits)
    assert facts.gather(Files(start), "self").mounts.runtime == runtime


def test_a_source_that_makes_no_sense_is_named_and_not_read_as_zero(tmp_path: Path) -> None:
    edits = (
        Edit("proc/stat", "cpu  1", "cpu  x", always=True),
        Edit("proc/loadavg", "3.50", "busy", always=True),
    )
    start, _ = plant(tmp_path, POD, edits=edits)
    files = Files(start)
    assert (counters.scheduler(files), counters.load(files)) == (None, None)
    assert files.unreadable == {
        "proc/stat": "holds no line of all processors",
        "proc/loadavg": "not understood",
    }


def test_sixteen_gpus_on_the_bus(tmp_path: Path) -> None:
    edits = tuple(
        Edit(f"sys/bus/pci/devices/0000:{n:02x}:00.0/{name}", "", text, always=True)
        for n in range(16)
        for name, text in (
            ("vendor", "0x10de"),
            ("class", "0x030200"),
            ("numa_node", str(n // 8)),
            ("local_cpulist", "0-3" if n < 8 else "4-7"),
        )
    )
    start, _ = plant(tmp_path, POD, edits=edits)
    gpus = facts.gather(Files(start), "self").gpus
    assert [gpu.node for gpu in gpus] == [0] * 8 + [1] * 8


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (2048, "2 KiB"), (1536 * 1024 * 1024, "1.5 GiB"), (64 << 20, "64 MiB")],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert mebibytes(size) == text
