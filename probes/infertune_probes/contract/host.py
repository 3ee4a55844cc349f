"""Facts about the machine and the container, as every probe reports them.

Emit side: standard library only, Python 3.8. It must not know what the facts are used for. A
fact that cannot be read is None, never a default. Trade-off: the cgroup limits are those of the
cgroup mounted at /sys/fs/cgroup, which is the container's own under a cgroup namespace and the
machine's outside of one.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from infertune_probes.contract.envelope import Image

CGROUP_ROOT = Path("/sys/fs/cgroup")
# cgroup v1 spells "no limit" as a number close to 2^63.
_V1_UNLIMITED_BYTES = 1 << 60


def node_name() -> str:
    """Return the Kubernetes node from NODE_NAME (downward API), else this machine's hostname."""
    return os.environ.get("NODE_NAME") or platform.node() or "unknown"


def pod_uid() -> str | None:
    """Return the pod's UID from INFERTUNE_POD_UID (downward API), None outside a pod."""
    return os.environ.get("INFERTUNE_POD_UID") or None


def image() -> Image | None:
    """Return the image from INFERTUNE_IMAGE and INFERTUNE_IMAGE_DIGEST, None outside a pod."""
    reference = os.environ.get("INFERTUNE_IMAGE")
    if not reference:
        return None
    return Image(reference, os.environ.get("INFERTUNE_IMAGE_DIGEST") or None)


def host_facts(cgroup_root: Path = CGROUP_ROOT) -> dict[str, object]:
    """Return the host section of an envelope."""
    return {
        "hostname": platform.node(),
        "operatingSystem": _operating_system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cpuModel": _cpu_model(),
        "cpuCount": os.cpu_count(),
        "cpuLimit": cpu_limit(cgroup_root),
        "memoryBytes": _memory_bytes(),
        "memoryLimitBytes": memory_limit_bytes(cgroup_root),
    }


def cpu_limit(cgroup_root: Path = CGROUP_ROOT) -> float | None:
    """Return the cgroup's CPU limit in cores (v2 `cpu.max`, v1 quota); None when unlimited."""
    words = (_read(cgroup_root / "cpu.max") or "").split()
    if not words:
        quota = _read(cgroup_root / "cpu" / "cpu.cfs_quota_us")
        period = _read(cgroup_root / "cpu" / "cpu.cfs_period_us")
        words = [quota or "max", period or "0"]
    quota_us, period_us = _number(words[0]), _number(words[-1])
    if quota_us is None or not period_us or quota_us <= 0:
        return None
    return quota_us / period_us


def memory_limit_bytes(cgroup_root: Path = CGROUP_ROOT) -> int | None:
    """Return the cgroup's memory limit in bytes; None when unlimited."""
    text = _read(cgroup_root / "memory.max")
    if text is None:
        text = _read(cgroup_root / "memory" / "memory.limit_in_bytes")
    limit = _number(text or "max")
    return None if limit is None or limit >= _V1_UNLIMITED_BYTES else limit


def usable_cores(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Return how many threads can really run at once: affinity, cut by the cgroup's limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = cpu_limit(cgroup_root)
    # A limit of 1.5 cores runs one thread at full speed; a second would be throttled.
    return max(1, min(cores or 1, int(limit) if limit else cores or 1))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _field(path: Path, key: str, separator: str) -> str | None:
    for line in (_read(path) or "").splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip()
    return None


def _cpu_model() -> str | None:
    return _field(Path("/proc/cpuinfo"), "model name", ":")


def _memory_bytes() -> int | None:
    text = _field(Path("/proc/meminfo"), "MemTotal", ":")
    kibibytes = _number(text.split()[0]) if text else None
    return None if kibibytes is None else kibibytes * 1024


def _operating_system() -> str:
    pretty = _field(Path("/etc/os-release"), "PRETTY_NAME", "=")
    return pretty.strip('"') if pretty else platform.system()


def memory_room_bytes(cgroup_root: Path = CGROUP_ROOT) -> int | None:
    """Return the memory we may still take: what is available, cut by the cgroup's limit.

    None when neither can be read. Page cache counts as free on the machine and, to be careful, as
    used in the cgroup.
    """
    text = _field(Path("/proc/meminfo"), "MemAvailable", ":")
    kibibytes = _number(text.split()[0]) if text else None
    rooms = [] if kibibytes is None else [kibibytes * 1024]
    limit = memory_limit_bytes(cgroup_root)
    used = _read(cgroup_root / "memory.current")
    if used is None:
        used = _read(cgroup_root / "memory" / "memory.usage_in_bytes")
    used_bytes = _number(used or "")
    if limit is not None and used_bytes is not None:
        rooms.append(max(0, limit - used_bytes))
    return min(rooms) if rooms else None
