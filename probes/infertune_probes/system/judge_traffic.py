"""Do disks and the network carry what they are asked to?

Pure. It must not know where the figures come from. Trade-off: a disk's "busy" share is of little
worth on NVMe, which serves many requests at once, so that alone is no finding: the requests must
also have waited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.system import codes, window
from infertune_probes.system.advised import Advice, Advised, View, advised, mebibytes, quiet

if TYPE_CHECKING:
    from infertune_probes.system.window import DiskUse

BUSY_PERCENT, BUSY_AWAIT_MS = 90.0, 5.0
SLOW_AWAIT_MS, SLOW_OPERATIONS_PER_SECOND = 50.0, 5.0
PRESSURE_PERCENT = 20.0
LOST_SHARE, LEAST_LOST = 0.001, 10
RETRANSMIT_SHARE, LEAST_RETRANSMITS = 0.01, 10
NEARLY = 0.80
_MOST_BACKLOG = 4096


def judge_disk(view: View) -> list[Advised]:
    """Return the findings of the disks; one pass when there is nothing to say."""
    found = [*_broken(view), *_io_pressure(view)]
    if view.window.last.counters.disks is None or view.window.first.counters.disks is None:
        return found  # /proc/diskstats is then named as unreadable
    disks = window.disks(view.window)
    for disk in disks:
        found += _one_disk(view, disk)
    if found:
        return found
    if not disks:
        return [quiet(codes.DISK_FINE, "no block device has been used")]
    top = disks[0]
    waited = "" if top.await_ms is None else f", {top.await_ms:.1f} ms a request"
    return [quiet(codes.DISK_FINE, f"busiest: {top.name} {top.busy_percent:.0f} %{waited}")]


def _one_disk(view: View, disk: DiskUse) -> list[Advised]:
    waited = disk.await_ms
    if waited is None:
        return []
    rate = disk.reads_per_second + disk.writes_per_second
    moved = (
        f"{rate:.0f} requests a second, {mebibytes(disk.read_bytes_per_second)}/s read, "
        f"{mebibytes(disk.written_bytes_per_second)}/s written, {waited:.1f} ms each"
    )
    if disk.busy_percent >= BUSY_PERCENT and waited >= BUSY_AWAIT_MS:
        who, pid = _mover(view)
        advice = Advice(
            f"`ionice -c 3 -p {pid}` for the process that moves most, or another volume for it"
            if pid is not None
            else "another volume for what writes most",
            "model loading and page faults queue behind it",
            "the process that is held back takes longer",
        )
        evidence = f"{disk.name} {disk.busy_percent:.0f} % busy, {moved}{who}"
        return [advised(codes.DISK_SATURATED, "warn", evidence, advice)]
    if waited >= SLOW_AWAIT_MS and rate >= SLOW_OPERATIONS_PER_SECOND:
        advice = Advice(
            "a volume type with provisioned IOPS, or a local disk for weights and cache",
            "each read that is not in memory costs that long",
            "costs more, or is lost with the node",
        )
        evidence = f"{disk.name} {disk.busy_percent:.0f} % busy, {moved}"
        return [advised(codes.DISK_SLOW, "warn", evidence, advice)]
    return []


def _mover(view: View) -> tuple[str, int | None]:
    known = [p for p in window.processes(view.window) if p.io_bytes_per_second]
    top = max(known, key=lambda p: p.io_bytes_per_second or 0.0, default=None)
    if top is None:
        return "", None
    rate = mebibytes(top.io_bytes_per_second or 0.0)
    return f"; most: {top.name} ({top.pid}) {rate}/s", top.pid


def _broken(view: View) -> list[Advised]:
    broken = view.facts.mounts.broken
    if not broken:
        return []
    advice = Advice(
        "`dmesg --level=err`, then `kubectl drain` and replace the disk",
        "the kernel turns a file system read-only when its device fails",
        "a drain moves the node's pods",
    )
    return [advised(codes.FILESYSTEM_READ_ONLY, "fail", "; ".join(broken), advice)]


def _io_pressure(view: View) -> list[Advised]:
    own = window.own_stalled_percent(view.window, "io.some")
    machine = window.stalled_percent(view.window, "io.some")
    stalled, whose = (machine, "the machine") if own is None else (own, "this container")
    if stalled is None or stalled < PRESSURE_PERCENT:
        return []
    who, _ = _mover(view)
    advice = Advice(
        "a faster volume, or the process that moves most on another one",
        "tasks stood still until storage answered",
        "costs more, or is lost with the node",
    )
    evidence = f"some task of {whose} stalled on storage {stalled:.0f} % of the window{who}"
    return [advised(codes.IO_PRESSURE, "warn", evidence, advice)]


def judge_network(view: View) -> list[Advised]:
    """Return the findings of the network; one pass when there is nothing to say."""
    found = [*_retransmits(view), *_refused(view), *_rooms(view)]
    if view.window.last.counters.nics is None or view.window.first.counters.nics is None:
        return found  # /proc/net/dev is then named as unreadable
    interfaces = [use for use in window.interfaces(view.window) if use.name != "lo"]
    for use in interfaces:
        lost, seen = use.dropped + use.errors, use.rx_packets + use.tx_packets
        if lost >= LEAST_LOST and lost >= LOST_SHARE * max(1, seen):
            advice = Advice(
                f"`ethtool -S {use.name}` for the cause, `ethtool -G {use.name} rx 4096` when "
                "it is the ring",
                "a lost packet costs a request a round trip, or 200 ms and more if it was the last",
                "a larger ring holds packets longer under overload",
            )
            evidence = (
                f"{use.name}: {use.dropped} packets dropped, {use.errors} errors, of {seen} packets"
            )
            found.append(advised(codes.NETWORK_DROPS, "warn", evidence, advice))
    if found:
        return found
    if not interfaces:
        return [quiet(codes.NETWORK_FINE, "only the loopback interface")]
    moved = sum(use.rx_bytes_per_second + use.tx_bytes_per_second for use in interfaces)
    told = f"{mebibytes(moved)}/s over {len(interfaces)} interfaces, no notable loss"
    return [quiet(codes.NETWORK_FINE, told)]


def _retransmits(view: View) -> list[Advised]:
    again = window.tcp_growth(view.window, "Tcp.RetransSegs")
    sent = window.tcp_growth(view.window, "Tcp.OutSegs")
    if again is None or not sent:
        return []
    if again < LEAST_RETRANSMITS or again < RETRANSMIT_SHARE * sent:
        return []
    advice = Advice(
        "`ss -ti` for the connections that lose, `mtr` to their peers; "
        "`sysctl -w net.ipv4.tcp_mtu_probing=1` when large packets vanish",
        "a segment sent again is late by a round trip, or by 200 ms and more when it was the last",
        "probing the packet size costs a little throughput",
    )
    evidence = f"{again} of {sent} segments sent again ({100 * again / sent:.1f} %)"
    return [advised(codes.TCP_RETRANSMITS, "warn", evidence, advice)]


def _refused(view: View) -> list[Advised]:
    drops = window.tcp_growth(view.window, "TcpExt.ListenDrops")
    if not drops:
        return []
    somaxconn = view.facts.somaxconn
    now = "" if somaxconn is None else f" (now {somaxconn})"
    command = f"the server's backlog to 1024 or more, and `net.core.somaxconn`{now} not below it"
    if somaxconn is not None and somaxconn < _MOST_BACKLOG:
        command = (
            f"`securityContext.sysctls: [{{name: net.core.somaxconn, value: "
            f'"{_MOST_BACKLOG}"}}]`{now} and a larger backlog in the server'
        )
    advice = Advice(
        command,
        "a client whose connection is dropped tries again a second later",
        "the kubelet must allow this sysctl (`allowedUnsafeSysctls`); a longer queue hides a "
        "slow server",
    )
    evidence = f"{drops} connections dropped because an accept queue was full"
    return [advised(codes.LISTEN_OVERFLOWS, "warn", evidence, advice)]


def _rooms(view: View) -> list[Advised]:
    found = []
    waiting = (view.window.last.counters.sockets or {}).get("TCP.tw")
    ports = view.facts.ports
    if waiting is not None and ports is not None:
        room = ports[1] - ports[0] + 1
        if waiting >= NEARLY * room:
            advice = Advice(
                "keep-alive in the client, or "
                "`sysctl -w net.ipv4.ip_local_port_range='1024 65535'`",
                "a new connection to the same peer needs a free port",
                "services on fixed ports above 1024 may collide",
            )
            evidence = f"{waiting} sockets in TIME_WAIT, {room} local ports"
            found.append(advised(codes.PORTS_NEARLY_USED, "warn", evidence, advice))
    if view.facts.conntrack is not None:
        used, most = view.facts.conntrack
        if used >= NEARLY * most:
            advice = Advice(
                f"`sysctl -w net.netfilter.nf_conntrack_max={2 * most}`",
                "packets of new connections are dropped when the table is full",
                "each entry takes about 320 bytes of kernel memory",
            )
            evidence = f"{used} of {most} entries in use"
            found.append(advised(codes.CONNTRACK_NEARLY_FULL, "warn", evidence, advice))
    return found
