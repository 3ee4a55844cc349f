"""Packet-filter chains of kube-proxy, the kubelet and the pod network, and their end.

Only chains with the well-known prefixes are touched; `up` refuses a machine on which
they exist already, because then another node's rules would be mixed with ours. The
commands are worked out from the saved rules by a pure function. Trade-off: chains
are recognised by name, so two nodes cannot share one network namespace.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from devcluster.console import run
from devcluster.errors import CommandError, RefusedError
from devcluster.packages import search_path, tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devcluster.settings import Settings

PREFIXES = ("KUBE-", "CNI-")
FAMILIES = ("iptables", "ip6tables")


def _is_jump(words: Sequence[str]) -> bool:
    """Whether a saved rule stands in a chain that is not ours and names one that is."""
    return (
        words[:1] == ["-A"]
        and not words[1].startswith(PREFIXES)
        and any(word.startswith(PREFIXES) for word in words[2:])
    )


def removal(saved: str) -> str:
    """Return the restore script that removes our chains from saved rules; "" when none."""
    script: list[str] = []
    current = ""
    chains: dict[str, list[str]] = {}
    jumps: dict[str, list[str]] = {}
    for line in saved.splitlines():
        words = line.split()
        if line.startswith("*"):
            current = line
        elif line.startswith(":") and words[0][1:].startswith(PREFIXES):
            chains.setdefault(current, []).append(words[0][1:])
        elif _is_jump(words):
            jumps.setdefault(current, []).append("-D" + line[2:])
    for table in dict.fromkeys((*chains, *jumps)):
        names = chains.get(table, [])
        script += [table, *(f":{name} - [0:0]" for name in names)]
        script += [*jumps.get(table, []), *(f"-X {name}" for name in names), "COMMIT"]
    return "\n".join(script) + "\n" if script else ""


def _path(settings: Settings, name: str) -> str | None:
    own = tools(settings) / name
    return str(own) if own.exists() else shutil.which(name)


def saved_rules(settings: Settings, family: str) -> str:
    """Return the saved rules of a family; "" where the machine has no such tool or table."""
    program = _path(settings, f"{family}-save")
    if program is None:
        return ""
    with contextlib.suppress(CommandError):
        return run([program])
    return ""


def refuse_foreign_chains(settings: Settings) -> None:
    """Stop before any change when another node's chains are on this machine.

    Raises:
        RefusedError: Chains of a kube-proxy exist that this state folder knows nothing of.
    """
    if "KUBE-SERVICES" in saved_rules(settings, "iptables"):
        raise RefusedError(
            "another Kubernetes node's iptables chains (KUBE-SERVICES) are on this machine; "
            "use that cluster by CONTEXT=name, or stop it first"
        )


def remove_chains(settings: Settings) -> None:
    """Remove our chains from both families."""
    env = {"PATH": search_path(settings)}
    for family in FAMILIES:
        script = removal(saved_rules(settings, family))
        restore = _path(settings, f"{family}-restore")
        if script and restore:
            run([restore, "--noflush"], stdin=script, env=env)


def remove_empty_tables(settings: Settings, before: dict[str, str]) -> None:
    """Remove the tables that did not exist before and hold no rule now."""
    nft = _path(settings, "nft")
    for family, name in zip(FAMILIES, ("ip", "ip6"), strict=True):
        rules = saved_rules(settings, family)
        if nft is None or before.get(family) or "\n-A " in rules:
            continue
        for table in [line[1:] for line in rules.splitlines() if line.startswith("*")]:
            with contextlib.suppress(CommandError):
                run([nft, "delete", "table", name, table])
