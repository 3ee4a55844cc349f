"""The codes of the system probe's findings.

It must not hold a threshold: those stand beside the judgement that uses them. Trade-off: the fix
here is the general one; a finding replaces it by the command with this machine's values.
"""

from infertune_probes.contract.codes import Code

CPU_FINE = Code(
    "CPU_FINE",
    "No processor is overloaded, taken away, throttled or unevenly used.",
    "nothing",
)
CPU_SATURATED = Code(
    "CPU_SATURATED",
    "All processors were busy and tasks queued for them.",
    "move other work off the node, or request whole CPUs: `resources.requests.cpu`",
)
CPU_STEAL = Code(
    "CPU_STEAL",
    "The hypervisor gave processor time of this machine to others.",
    "use an instance type with dedicated CPUs, or ask the provider to move the machine",
)
CPU_IOWAIT = Code(
    "CPU_IOWAIT",
    "Processors stood idle because tasks waited for storage.",
    "see the disk findings; keep weights on a local disk or in page cache",
)
ONE_CORE_BUSY = Code(
    "ONE_CORE_BUSY",
    "One processor is full while the others idle: a single thread is the bottleneck.",
    "run more server processes, or move that thread's work",
)
IRQ_ON_ONE_CORE = Code(
    "IRQ_ON_ONE_CORE",
    "One processor serves most interrupts.",
    "spread them: `systemctl enable --now irqbalance`",
)
CPU_THROTTLED = Code(
    "CPU_THROTTLED",
    "Our own group (or one above it) hit its CPU quota and was stopped.",
    "raise `resources.limits.cpu`, or set OMP_NUM_THREADS to the limit",
)
GROUPS_THROTTLED = Code(
    "GROUPS_THROTTLED",
    "Other groups on this machine hit their CPU quota and were stopped.",
    "raise `resources.limits.cpu` of the pods named",
)
CPU_PRESSURE = Code(
    "CPU_PRESSURE",
    "Tasks stood ready but waited for a processor (pressure stall information).",
    "request more CPU: `resources.requests.cpu`",
)
MEMORY_FINE = Code(
    "MEMORY_FINE", "Memory is free, nothing swaps and nobody was killed for it.", "nothing"
)
MEMORY_LOW = Code(
    "MEMORY_LOW",
    "The machine has little memory left that can be had without swapping.",
    "move work off the node, or raise its memory; see the largest processes",
)
GROUP_MEMORY_NEAR_LIMIT = Code(
    "GROUP_MEMORY_NEAR_LIMIT",
    "Our own group's memory is close to its limit; at the limit the kernel kills.",
    "raise `resources.limits.memory`",
)
OOM_KILLED = Code(
    "OOM_KILLED",
    "The kernel killed a process for want of memory.",
    "raise `resources.limits.memory` of what was killed (`kubectl describe pod`: OOMKilled)",
)
SWAPPING = Code(
    "SWAPPING",
    "Pages went to or came from swap within the window.",
    "`swapoff -a`, or kubelet `memorySwap.swapBehavior: NoSwap`",
)
SWAPPINESS_HIGH = Code(
    "SWAPPINESS_HIGH",
    "Swap is on and the kernel is told to use it early.",
    "`sysctl -w vm.swappiness=10`",
)
MAJOR_FAULTS = Code(
    "MAJOR_FAULTS",
    "Many page faults had to read storage: files in use were pushed out of memory.",
    "raise `resources.limits.memory` so that the weights stay in the page cache",
)
MEMORY_PRESSURE = Code(
    "MEMORY_PRESSURE",
    "Tasks stalled because memory had to be reclaimed first (pressure stall information).",
    "raise `resources.limits.memory`, or move work off the node",
)
COMPACTION_STALLS = Code(
    "COMPACTION_STALLS",
    "Allocations waited while the kernel compacted memory for huge pages.",
    "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
)
DISK_FINE = Code("DISK_FINE", "No disk is full of work, slow or damaged.", "nothing")
DISK_SATURATED = Code(
    "DISK_SATURATED",
    "A disk was busy nearly all the time and requests queued for it.",
    "move the writer named to another disk, or limit it",
)
DISK_SLOW = Code(
    "DISK_SLOW",
    "A disk took long for each request, though it was not busy all the time.",
    "check the volume type and its limits (IOPS, burst credits)",
)
IO_PRESSURE = Code(
    "IO_PRESSURE",
    "Tasks stalled on storage (pressure stall information).",
    "see the disk findings and the processes that move most bytes",
)
FILESYSTEM_READ_ONLY = Code(
    "FILESYSTEM_READ_ONLY",
    "A file system turned read-only by itself: the kernel does that on an error of its device.",
    "read `dmesg` for the error, drain the node, replace the disk",
)
NETWORK_FINE = Code(
    "NETWORK_FINE", "No packets were lost, no connection was refused for want of room.", "nothing"
)
NETWORK_DROPS = Code(
    "NETWORK_DROPS",
    "An interface dropped packets or counted errors within the window.",
    "`ethtool -S` names the cause; `ethtool -G IFACE rx 4096` makes the ring larger",
)
TCP_RETRANSMITS = Code(
    "TCP_RETRANSMITS",
    "TCP had to send a notable share of its segments again.",
    "look for loss on the way: `ss -ti` shows the connections",
)
LISTEN_OVERFLOWS = Code(
    "LISTEN_OVERFLOWS",
    "Connections were refused because a server's accept queue was full.",
    "raise the server's backlog and `sysctl -w net.core.somaxconn=4096`",
)
PORTS_NEARLY_USED = Code(
    "PORTS_NEARLY_USED",
    "Closed connections that wait (TIME_WAIT) hold most local ports.",
    "keep connections alive, or `sysctl -w net.ipv4.ip_local_port_range='1024 65535'`",
)
CONNTRACK_NEARLY_FULL = Code(
    "CONNTRACK_NEARLY_FULL",
    "The table of tracked connections is nearly full; beyond it packets are dropped.",
    "raise `net.netfilter.nf_conntrack_max` (kube-proxy: `conntrack.maxPerCore`)",
)
SETUP_FINE = Code(
    "SETUP_FINE", "Clock, limits, shared memory, frequency and topology suit a server.", "nothing"
)
SHM_SMALL = Code(
    "SHM_SMALL",
    "The shared memory at /dev/shm has the container default of 64 MiB or less.",
    "mount an `emptyDir` with `medium: Memory` at /dev/shm",
)
FILES_LIMIT_LOW = Code(
    "FILES_LIMIT_LOW",
    "The process may open few files; each connection is one.",
    "`ulimit -n 65536` in the server's start script",
)
MEMLOCK_LIMITED = Code(
    "MEMLOCK_LIMITED",
    "RDMA devices are there, but the process may lock little memory.",
    "`LimitMEMLOCK=infinity` in the container runtime's systemd unit",
)
CPU_GOVERNOR = Code(
    "CPU_GOVERNOR",
    "The frequency governor saves power at the cost of latency.",
    "`cpupower frequency-set -g performance`",
)
CLOCK_SLOW = Code(
    "CLOCK_SLOW",
    "The clock source is slow to read: every timestamp costs a system call and a device access.",
    "`echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource`",
)
NUMA_GPU_FAR = Code(
    "NUMA_GPU_FAR",
    "The processors of the pod are all on another NUMA node than the GPU.",
    "kubelet `topologyManagerPolicy: single-numa-node` with `cpuManagerPolicy: static`",
)
NUMA_SPLIT = Code(
    "NUMA_SPLIT",
    "The process may run on processors far from the GPU as well as on near ones.",
    "kubelet `topologyManagerPolicy: single-numa-node` with `cpuManagerPolicy: static`",
)
NUMA_UNKNOWN = Code(
    "NUMA_UNKNOWN",
    "It cannot be told which processors are near the pod's GPU.",
    "run the gpu probe in the same pod; it knows the device by UUID",
)
PIDS_NEAR_LIMIT = Code(
    "PIDS_NEAR_LIMIT",
    "The group is close to its limit of processes and threads.",
    "raise the kubelet's `podPidsLimit`",
)
SOURCE_UNREADABLE = Code(
    "SOURCE_UNREADABLE",
    "A file of the kernel could not be read, so what it tells is not known.",
    "run the probe where the file is visible",
)
PROCESSES_HIDDEN = Code(
    "PROCESSES_HIDDEN",
    "Processes of others, or their storage traffic, cannot be seen from here.",
    "host access (`hostPID: true`, and CAP_SYS_PTRACE for storage traffic) shows them",
)

CATALOGUE = (
    CPU_FINE,
    CPU_SATURATED,
    CPU_STEAL,
    CPU_IOWAIT,
    ONE_CORE_BUSY,
    IRQ_ON_ONE_CORE,
    CPU_THROTTLED,
    GROUPS_THROTTLED,
    CPU_PRESSURE,
    MEMORY_FINE,
    MEMORY_LOW,
    GROUP_MEMORY_NEAR_LIMIT,
    OOM_KILLED,
    SWAPPING,
    SWAPPINESS_HIGH,
    MAJOR_FAULTS,
    MEMORY_PRESSURE,
    COMPACTION_STALLS,
    DISK_FINE,
    DISK_SATURATED,
    DISK_SLOW,
    IO_PRESSURE,
    FILESYSTEM_READ_ONLY,
    NETWORK_FINE,
    NETWORK_DROPS,
    TCP_RETRANSMITS,
    LISTEN_OVERFLOWS,
    PORTS_NEARLY_USED,
    CONNTRACK_NEARLY_FULL,
    SETUP_FINE,
    SHM_SMALL,
    FILES_LIMIT_LOW,
    MEMLOCK_LIMITED,
    CPU_GOVERNOR,
    CLOCK_SLOW,
    NUMA_GPU_FAR,
    NUMA_SPLIT,
    NUMA_UNKNOWN,
    PIDS_NEAR_LIMIT,
    SOURCE_UNREADABLE,
    PROCESSES_HIDDEN,
)
