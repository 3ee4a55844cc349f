"""What the system probe finds on recorded trees, and that each of its codes can be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infertune_probes.system import codes, figures, judgement
from tests.probes.trees import Edit, seen

if TYPE_CHECKING:
    from pathlib import Path

    from infertune_probes.system.advised import View

POD = "pod-cgroup-v2"
POD_FINDS = {
    "CPU_THROTTLED": "fail",
    "GROUP_MEMORY_NEAR_LIMIT": "warn",
    "OOM_KILLED": "warn",
    "DISK_FINE": "pass",
    "NETWORK_FINE": "pass",
    "SHM_SMALL": "warn",
    "FILES_LIMIT_LOW": "warn",
    "PROCESSES_HIDDEN": "unknown",
}


def found(view: View) -> dict[str, str]:
    return {one.finding.code: one.finding.verdict for one in judgement.judge(view)}


def evidence(view: View, code: str) -> str:
    return next(o.finding.evidence for o in judgement.judge(view) if o.finding.code == code)


def fix(view: View, code: str) -> str:
    return next(o.finding.fix for o in judgement.judge(view) if o.finding.code == code)


def test_a_recorded_group_under_a_quota_is_named_with_what_stopped_it(tmp_path: Path) -> None:
    """cgroup v1: 40 - 7 periods, 14 - 0 of them stopped, 0.362 s in all."""
    view = seen(tmp_path, "vm-cgroup-v1", seconds=3.11, pid="1000")
    assert found(view) == {
        "CPU_THROTTLED": "fail",
        "CPU_SATURATED": "warn",
        "MEMORY_FINE": "pass",
        "DISK_FINE": "pass",
        "NETWORK_FINE": "pass",
        "SETUP_FINE": "pass",
    }
    assert evidence(view, "CPU_THROTTLED") == (
        "/tenants/burner: stopped in 14 of 33 periods (42 %), 0.36 s in all at 0.2 CPU "
        "(2 processors are visible)"
    )
    # 2 * 0.2 * (1 + 14/33) = 0.57, rounded up to a half: 1 half.
    assert fix(view, "CPU_THROTTLED").startswith('`resources.limits.cpu: "0.5"` of this container')


def test_the_same_group_seen_by_a_neighbour_is_a_warning_with_a_name(tmp_path: Path) -> None:
    outside = Edit("proc/1000/cgroup", "/tenants/burner", "/", always=True)
    view = seen(tmp_path, "vm-cgroup-v1", seconds=3.11, pid="1000", edits=(outside,))
    assert found(view)["GROUPS_THROTTLED"] == "warn"
    assert evidence(view, "GROUPS_THROTTLED") == (
        "python3 (1000) in /tenants/burner stopped in 42 % of 33 periods at 0.2 CPU"
    )


@pytest.mark.parametrize(
    ("over", "more"),
    [
        pytest.param((), {}, id="a-container-under-a-limit"),
        pytest.param(("two-sockets",), {"NUMA_GPU_FAR": "warn"}, id="gpu-on-the-other-socket"),
        pytest.param(("no-pressure",), {"SOURCE_UNREADABLE": "unknown"}, id="kernel-without-psi"),
        pytest.param(
            ("bare-metal",), {"CPU_GOVERNOR": "warn", "CLOCK_SLOW": "warn"}, id="bare-metal"
        ),
    ],
)
def test_a_container_of_cgroup_v2(
    tmp_path: Path, over: tuple[str, ...], more: dict[str, str]
) -> None:
    assert found(seen(tmp_path, POD, *over)) == POD_FINDS | more


def test_only_a_file_system_that_the_kernel_turned_read_only_is_broken(tmp_path: Path) -> None:
    """Not the read-only mount of a healthy disk, nor squashfs, nor a bound file in a pod."""
    assert "FILESYSTEM_READ_ONLY" not in found(seen(tmp_path / "a", POD))
    view = seen(tmp_path / "b", POD, "disk-failed")
    assert found(view)["FILESYSTEM_READ_ONLY"] == "fail"
    assert evidence(view, "FILESYSTEM_READ_ONLY") == "/dev/sdb (ext4) at /var/lib/models"


def test_where_nothing_can_be_read_nothing_passes_and_nothing_is_zero(tmp_path: Path) -> None:
    view = seen(tmp_path)
    assert set(found(view).values()) == {"unknown"}
    named = " ".join(one.finding.evidence for one in judgement.judge(view))
    for path in ("proc/stat", "proc/meminfo", "proc/pressure/cpu", "proc/net/dev", "proc/vmstat"):
        assert path in named
    values = {m.name: m.value for m in figures.measure(view)}
    assert {name for name, value in values.items() if value is not None} == set()
    assert all(m.reason for m in figures.measure(view))


@pytest.mark.parametrize(
    ("edits", "code", "verdict"),
    [
        pytest.param((("0-3", "0-7"),), "NUMA_SPLIT", "warn", id="may-run-on-both-sockets"),
        pytest.param((("0-3", "4-7"),), None, None, id="on-the-gpus-socket"),
    ],
)
def test_processors_and_gpu_on_two_sockets(
    tmp_path: Path, edits: tuple[tuple[str, str], ...], code: str | None, verdict: str | None
) -> None:
    changes = tuple(Edit("proc/self/status", old, new, always=True) for old, new in edits)
    numa = {
        code: verdict
        for code, verdict in found(seen(tmp_path, POD, "two-sockets", edits=changes)).items()
        if code.startswith("NUMA")
    }
    assert numa == ({code: verdict} if code else {})


def test_a_gpu_that_the_firmware_does_not_place_is_unknown(tmp_path: Path) -> None:
    node = "sys/bus/pci/devices/0000:81:00.0/numa_node"
    view = seen(tmp_path, POD, "two-sockets", edits=(Edit(node, "1", "-1", always=True),))
    assert found(view)["NUMA_UNKNOWN"] == "unknown"


NIC = "  eth0: 2000000    2000    0    0    0"
DISK = "259       0 nvme0n1 1000 0 80000 500 2100 0 180480 1700 0 1900 2200"
STALL = "some avg10=0.00 avg60=0.00 avg300=0.00 total="
FULL0 = "cpu0 3300 0 700 20000 25 0 20 0 0 0"
CORE0 = "cpu0 2900 0 600 20475 35 0 35 0 0 0"
# Each case begins with the container above; 10 s, 4 processors of which 400 s are 1,000 ticks each.
PROVOKED = [
    ("CPU_SATURATED", "warn", [("proc/stat", "11600 0 2400 81900", "13550 0 2400 80000")]),
    ("CPU_STEAL", "warn", [("proc/stat", "110 0 0 0", "110 300 0 0")]),
    ("CPU_STEAL", "fail", [("proc/stat", "110 0 0 0", "110 1500 0 0")]),
    ("CPU_IOWAIT", "warn", [("proc/stat", "81900 140", "80000 2040")]),
    (
        "ONE_CORE_BUSY",
        "warn",
        [
            ("proc/stat", "2900 0 600 20475", "2600 0 500 20875"),
            ("proc/stat", CORE0.replace("2900 0 600 20475", "2600 0 500 20875"), FULL0),
        ],
    ),
    ("IRQ_ON_ONE_CORE", "warn", [("proc/stat", CORE0, "cpu0 2900 0 600 20075 35 200 235 0 0 0")]),
    ("MEMORY_LOW", "warn", [("proc/meminfo", "MemAvailable:   40000000", "MemAvailable: 4000000")]),
    ("MEMORY_LOW", "fail", [("proc/meminfo", "MemAvailable:   40000000", "MemAvailable: 1000000")]),
    ("OOM_KILLED", "fail", [("proc/vmstat", "oom_kill 1", "oom_kill 2")]),
    ("SWAPPING", "warn", [("proc/vmstat", "pswpout 0", "pswpout 100")]),
    ("MAJOR_FAULTS", "warn", [("proc/vmstat", "pgmajfault 60", "pgmajfault 1050")]),
    ("COMPACTION_STALLS", "warn", [("proc/vmstat", "compact_stall 7", "compact_stall 17")]),
    ("MEMORY_PRESSURE", "warn", [("sys/fs/cgroup/memory.pressure", STALL, STALL + "5000000")]),
    ("MEMORY_PRESSURE", "fail", [("sys/fs/cgroup/memory.pressure", "total=0", "total=500000")]),
    ("IO_PRESSURE", "warn", [("sys/fs/cgroup/io.pressure", "total=0", "total=2000000")]),
    (
        "DISK_SATURATED",
        "warn",
        [("proc/diskstats", DISK, DISK.replace("1700 0 1900", "9500 0 11000"))],
    ),
    ("DISK_SLOW", "warn", [("proc/diskstats", DISK, DISK.replace(" 1700 ", " 6500 "))]),
    ("NETWORK_DROPS", "warn", [("proc/net/dev", NIC, "  eth0: 2000000    2000    0   10    0")]),
    ("TCP_RETRANSMITS", "warn", [("proc/net/snmp", "4000 7", "4000 25")]),
    ("LISTEN_OVERFLOWS", "warn", [("proc/net/netstat", "3 3", "4 4")]),
    ("PORTS_NEARLY_USED", "warn", [("proc/net/sockstat", "tw 10", "tw 22586")]),
]
SET_UP = [
    (
        "SWAPPINESS_HIGH",
        "warn",
        [("proc/meminfo", "SwapTotal:             0", "SwapTotal: 8000000")],
    ),
    ("PIDS_NEAR_LIMIT", "warn", [("sys/fs/cgroup/pids.max", "max", "37")]),
    ("MEMLOCK_LIMITED", "warn", [("sys/class/infiniband/mlx5_0", "", "0")]),
    (
        "CONNTRACK_NEARLY_FULL",
        "warn",
        [
            ("proc/sys/net/netfilter/nf_conntrack_count", "", "80"),
            ("proc/sys/net/netfilter/nf_conntrack_max", "", "100"),
        ],
    ),
    (
        "CPU_PRESSURE",
        "warn",
        [("sys/fs/cgroup/cpu.max", "200000", "max")],
    ),
]
CASES = [(*case, False) for case in PROVOKED] + [(*case, True) for case in SET_UP]


@pytest.mark.parametrize(
    ("code", "verdict", "changes", "always"),
    CASES,
    ids=[f"{code.lower().replace('_', '-')}-{verdict}" for code, verdict, *_ in CASES],
)
def test_each_trouble_is_found_with_what_to_do_about_it(
    tmp_path: Path, code: str, verdict: str, changes: list[tuple[str, str, str]], always: bool
) -> None:
    edits = tuple(Edit(*change, always=always) for change in changes)
    if code == "CPU_SATURATED":
        edits += (Edit("proc/stat", "procs_running 3", "procs_running 12", always=True),)
    if code == "CPU_PRESSURE":
        # Without a quota nothing is stopped, and the wait is one for other tasks.
        edits += (Edit("sys/fs/cgroup/cpu.stat", "nr_throttled 40", "nr_throttled 10"),)
    before = found(seen(tmp_path / "before", POD))
    assert before.get(code) != verdict
    after = seen(tmp_path / "after", POD, edits=edits)
    assert found(after).get(code) == verdict
    (one,) = [one for one in judgement.judge(after) if one.finding.code == code]
    assert one.advice is not None
    assert one.finding.fix == one.advice.sentence
    assert all((one.advice.command, one.advice.reason, one.advice.risk))


@pytest.mark.parametrize("counter", ["nr_periods 1100", "nr_throttled 40"])
def test_a_counter_that_ran_backwards_is_no_rate(tmp_path: Path, counter: str) -> None:
    """A container that was replaced begins at zero again."""
    name = counter.split(maxsplit=1)[0]
    edit = Edit("sys/fs/cgroup/cpu.stat", counter, f"{name} 0")
    assert "CPU_THROTTLED" not in found(seen(tmp_path, POD, edits=(edit,)))


def test_every_code_is_found_somewhere_above() -> None:
    told = {case[0] for case in CASES} | set(POD_FINDS)
    told |= {"GROUPS_THROTTLED", "MEMORY_FINE", "SETUP_FINE", "FILESYSTEM_READ_ONLY"}
    told |= {"NUMA_GPU_FAR", "NUMA_SPLIT", "NUMA_UNKNOWN", "CPU_GOVERNOR", "CLOCK_SLOW"}
    told |= {"SOURCE_UNREADABLE", "CPU_FINE"}
    assert {code.name for code in codes.CATALOGUE} - told == set()


def test_processors_at_rest_are_fine(tmp_path: Path) -> None:
    calm = (
        Edit("sys/fs/cgroup/cpu.stat", "nr_throttled 40", "nr_throttled 10"),
        Edit("sys/fs/cgroup/cpu.pressure", "total=3500000", "total=1100000"),
    )
    view = seen(tmp_path, POD, edits=calm)
    assert found(view)["CPU_FINE"] == "pass"
    # 16+4+0.6 of 40 s worked; 3 running, one of them the probe.
    assert evidence(view, "CPU_FINE") == (
        "52 % of 4 processors busy, 2.0 tasks running or ready on average"
    )
