"""Is the machine set up for a server: clock, frequency, shared memory, limits, topology?

Pure. It must not know where the facts come from. Trade-off: a fact that a virtual machine does
not have (a frequency governor) is no finding there; on bare metal its absence is `unknown`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.system import codes, window
from infertune_probes.system.advised import Advice, Advised, View, advised, mebibytes, quiet
from infertune_probes.system.files import ranges

if TYPE_CHECKING:
    from infertune_probes.system.facts import Facts, GpuPlace

SHM_DEFAULT_BYTES = 64 << 20
LEAST_FILES = 4096
WANTED_FILES = 65536
NEARLY = 0.80
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
# These drivers scale by hardware; "powersave" is their normal mode and no brake.
_SELF_SCALING = ("intel_pstate", "amd-pstate-epp")
_SAVING = ("powersave", "ondemand", "conservative", "schedutil")
_SLOWED, _WORKING_PERCENT = 0.7, 50.0
_GIBI = 1 << 30
_SHM_WANTED_GIBI = 8
_RISK_OF_POLICY = "kubelet settings need a drain; pods that fit on no single node are refused"


def judge(view: View) -> list[Advised]:
    """Return the findings of the set-up; one pass when there is nothing to say."""
    found = [*_shared_memory(view), *_limits(view), *_frequency(view), *_clock(view.facts)]
    found += topology(view.facts)
    facts = view.facts
    unread = facts.clock is None or not facts.limits.soft or not facts.mounts.readable
    if found or unread:
        return found  # what is unread is then named as unreadable
    told = [f"clock {facts.clock or 'unknown'}", f"{len(facts.numa)} NUMA node(s)"]
    if facts.mounts.shm_bytes is not None:
        told.append(f"shared memory {mebibytes(facts.mounts.shm_bytes)}")
    return [quiet(codes.SETUP_FINE, ", ".join(told))]


def _shared_memory(view: View) -> list[Advised]:
    size = view.facts.mounts.shm_bytes
    if size is None or size > SHM_DEFAULT_BYTES:
        return []
    limit = view.window.last.group.memory_limit_bytes
    # A quarter of the container's memory, since the segment counts to its limit.
    gibi = _SHM_WANTED_GIBI if limit is None else max(1, min(_SHM_WANTED_GIBI, limit // 4 // _GIBI))
    advice = Advice(
        f"`volumes: [{{name: shm, emptyDir: {{medium: Memory, sizeLimit: {gibi}Gi}}}}]` mounted "
        "at /dev/shm",
        "NCCL, PyTorch worker processes and multi-process servers exchange tensors there and "
        "fail with a bus error when it is full",
        "what is used there counts to the memory limit",
    )
    evidence = f"shared memory at /dev/shm holds {mebibytes(size)}"
    return [advised(codes.SHM_SMALL, "warn", evidence, advice)]


def _limits(view: View) -> list[Advised]:
    found = []
    soft, hard = view.facts.limits.soft, view.facts.limits.hard
    files, most = soft.get("Max open files"), hard.get("Max open files")
    if files is not None and files < LEAST_FILES:
        wanted = WANTED_FILES if most is None else min(WANTED_FILES, most)
        advice = Advice(
            f"`ulimit -n {wanted}` in the server's start script (the hard limit is "
            f"{'unlimited' if most is None else most})",
            "each connection is an open file; at the limit accepting fails",
            "programs that close every possible file at start take longer",
        )
        evidence = f"{files} open files allowed"
        found.append(advised(codes.FILES_LIMIT_LOW, "warn", evidence, advice))
    locked = soft.get("Max locked memory")
    if view.facts.rdma and locked is not None and locked < _GIBI:
        advice = Advice(
            "`LimitMEMLOCK=infinity` in containerd's systemd unit",
            "RDMA registers its buffers as locked memory",
            "a container can then hold memory that cannot be swapped",
        )
        evidence = f"{', '.join(view.facts.rdma[:4])} present, {mebibytes(locked)} may be locked"
        found.append(advised(codes.MEMLOCK_LIMITED, "warn", evidence, advice))
    group = view.window.last.group
    if group.pids is not None and group.pids_limit and group.pids >= NEARLY * group.pids_limit:
        advice = Advice(
            f"kubelet `podPidsLimit: {2 * group.pids_limit}`",
            "at the limit a server cannot start a thread",
            "a runaway pod can take more of the node's process numbers",
        )
        evidence = f"{group.pids} of {group.pids_limit} processes and threads"
        found.append(advised(codes.PIDS_NEAR_LIMIT, "warn", evidence, advice))
    return found


def _frequency(view: View) -> list[Advised]:
    scaling = view.facts.frequency
    if scaling.governor is None:
        if view.facts.virtual is False:
            why = "sys/devices/system/cpu/cpu0/cpufreq: no frequency scaling on bare metal"
            return [Advised(codes.SOURCE_UNREADABLE.unknown(why, "load the cpufreq driver"))]
        return []
    use = window.all_cpus(view.window)
    ratio = None
    if scaling.current_khz is not None and scaling.highest_khz:
        ratio = scaling.current_khz / scaling.highest_khz
    slowed = ratio is not None and ratio < _SLOWED and use is not None
    working = use is not None and use.busy >= _WORKING_PERCENT
    braking = scaling.governor in _SAVING and scaling.driver not in _SELF_SCALING
    if not braking and not (slowed and working):
        return []
    now = "" if ratio is None else f", now at {100 * ratio:.0f} % of the highest frequency"
    advice = Advice(
        "`cpupower frequency-set -g performance`",
        "a processor that has to speed up first adds to every short request",
        "more power and heat when idle",
    )
    evidence = f"governor {scaling.governor} of {scaling.driver or 'an unknown driver'}{now}"
    return [advised(codes.CPU_GOVERNOR, "warn", evidence, advice)]


def _clock(facts: Facts) -> list[Advised]:
    if facts.clock not in SLOW_CLOCKS:
        return []
    better = next((name for name in facts.clocks if name not in SLOW_CLOCKS), None)
    command = (
        f"`echo {better} > /sys/devices/system/clocksource/clocksource0/current_clocksource`"
        if better
        else "boot with `tsc=reliable` where the processor's clock is known to be stable"
    )
    advice = Advice(
        command,
        "servers and CUDA read the clock thousands of times a second; this one costs a "
        "microsecond each",
        "the kernel may have left the faster clock because it drifts: see `dmesg`",
    )
    evidence = f"{facts.clock}; available: {', '.join(facts.clocks) or 'unknown'}"
    return [advised(codes.CLOCK_SLOW, "warn", evidence, advice)]


def topology(facts: Facts) -> list[Advised]:
    """Return the findings about processors and GPUs on different NUMA nodes.

    On the PCI bus a pod sees the GPUs of the whole node. When some are near and some far, only the
    gpu probe knows which are the pod's.
    """
    if len(facts.numa) < 2 or not facts.gpus or facts.allowed is None:  # noqa: PLR2004  # one node is near to all
        return []
    unplaced = [gpu.address for gpu in facts.gpus if gpu.cpus is None or gpu.node is None]
    if unplaced:
        why = f"the firmware does not say where {', '.join(unplaced)} is"
        return [Advised(codes.NUMA_UNKNOWN.unknown(why, "update the firmware's NUMA tables"))]
    nodes = {n.node for n in facts.numa if n.cpus & facts.allowed}
    near = [gpu for gpu in facts.gpus if gpu.node in nodes]
    where = _where(facts, nodes)
    if not near:
        advice = _pin(facts.gpus[0])
        return [advised(codes.NUMA_GPU_FAR, "warn", where, advice)]
    if len(nodes) > 1:
        return [advised(codes.NUMA_SPLIT, "warn", where, _pin(near[0]))]
    if len(near) < len(facts.gpus):
        return [Advised(codes.NUMA_UNKNOWN.unknown(f"{where}; some near, some far"))]
    return []


def _where(facts: Facts, nodes: set[int]) -> str:
    gpus = ", ".join(f"{gpu.address} on node {gpu.node}" for gpu in facts.gpus[:8])
    allowed = ranges(facts.allowed or frozenset())
    return f"processors {allowed} on node {', '.join(map(str, sorted(nodes)))}; GPU {gpus}"


def _pin(gpu: GpuPlace) -> Advice:
    return Advice(
        "kubelet `cpuManagerPolicy: static` and `topologyManagerPolicy: single-numa-node` with "
        f"whole CPUs (request = limit); by hand: `numactl --cpunodebind={gpu.node} "
        f"--membind={gpu.node}` before the server",
        f"copies to the GPU cross the link between sockets from anywhere but "
        f"{ranges(gpu.cpus or frozenset())}",
        _RISK_OF_POLICY,
    )
