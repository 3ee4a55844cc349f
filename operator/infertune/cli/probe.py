"""``infertune probe NAME``: run a probe here, or as Jobs on nodes, and show what it found.

Role: choose nodes, image and namespace from what the user and the cluster say. Must not know: how a
probe measures. Trade-off: flags that this command does not know are handed to the probe, so each
probe keeps its own help (``infertune probe NAME --help-probe``) and nothing is written twice.
"""

import argparse
import json
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from infertune.cli.kubectl import WRONG_INPUT, Kubectl, KubectlError, add_kubectl
from infertune.cli.parsing import Commands
from infertune.cli.probe_fleet import Fleet
from infertune.cli.probe_here import ask_here, run_here
from infertune.cli.probe_jobs import MOST_AT_ONCE, START_SECONDS, ProbeNode
from infertune.cli.probe_watch import (
    View,
    Watch,
    Watching,
    check_watched,
    job_seconds,
    take_watch,
)
from infertune.core.manifests.shell_probe import LOADS_A_DEVICE, Order
from infertune.core.resolve import GPU_RESOURCE
from infertune.report.probe_report import NodeAnswer, as_document, as_text, exit_status
from infertune_probes.contract.terminal import style_of

PROBES = ("gpu", "versions", "benchmark", "system", "profiler", "memory")
# Those that need to be told nothing; a profile and a search need a model.
ALL = ("gpu", "versions", "system", "benchmark")
# What a shell reports for a program that SIGINT ended.
INTERRUPTED = 130
_OPERATOR = "app.kubernetes.io/name=infertune"


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "probe", help="check a machine or nodes: GPU, versions, speed, ..."
    )
    parser.allow_abbrev = False
    parser.description = (
        "Without --node or --all-nodes the probe runs on this machine. Flags that are not listed "
        "here go to the probe itself; --help-probe shows them. gpu and system can be watched: "
        "--watch SECONDS [--count N] [--format table|csv|jsonl], here or on up to "
        f"{MOST_AT_ONCE} nodes at once."
    )
    parser.add_argument(
        "probe",
        metavar="NAME",
        nargs="+",
        choices=(*PROBES, "all"),
        help=f"{', '.join(PROBES)}; several names make one report, all means {', '.join(ALL)}",
    )
    parser.add_argument("--help-probe", action="store_true", help="show the probe's own flags")
    parser.add_argument(
        "--output", metavar="FILE", help="write JSON to FILE ('-': standard output), not a table"
    )
    _add_nodes(parser)
    add_kubectl(parser)
    parser.set_defaults(run=_run, passes_on=True)


def _add_nodes(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("on nodes of a cluster")
    chosen = where.add_mutually_exclusive_group()
    chosen.add_argument("--node", action="append", metavar="N", help="a node; may be repeated")
    chosen.add_argument("--all-nodes", action="store_true", help="every node that is Ready")
    where.add_argument("--selector", metavar="LABELS", help="of --all-nodes, those with LABELS")
    where.add_argument("--namespace", metavar="NS", help="of the Jobs; default: the operator's")
    where.add_argument("--image", help="probe image; default: the operator's")
    where.add_argument("--runtime-class", metavar="NAME", help="runtimeClassName of the pods")
    where.add_argument(
        "--at-once", type=int, default=MOST_AT_ONCE, metavar="N", help="Jobs (default: %(default)s)"
    )
    where.add_argument(
        "--start-seconds",
        type=float,
        default=START_SECONDS,
        metavar="S",
        help="a pod may wait so long for its start (default: %(default)g)",
    )


def _run(arguments: argparse.Namespace) -> int:
    probes = list(dict.fromkeys(ALL if "all" in arguments.probe else arguments.probe))
    if arguments.help_probe:
        return max(run_here(probe, ["--help"]) for probe in probes)
    try:
        watch, rest = take_watch(probes, arguments.rest)
        _refuse_what_does_not_fit(probes, watch, rest, arguments.output)
        if not (arguments.node or arguments.all_nodes):
            return _here(arguments.output, probes, watch, rest)
        _refuse_what_a_job_cannot_keep(rest)
        return _on_nodes(arguments, probes, watch, rest)
    except KubectlError as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status


def _refuse_what_does_not_fit(
    probes: Sequence[str], watch: Watch | None, rest: Sequence[str], output: str | None
) -> None:
    if watch is not None and output:
        message = "--watch writes to standard output: use > FILE in place of --output"
        raise KubectlError(message, WRONG_INPUT)
    if len(probes) > 1 and rest:
        message = f"{' '.join(rest)}: flags of a probe need that probe alone, not {len(probes)}"
        raise KubectlError(message, WRONG_INPUT)


def _refuse_what_a_job_cannot_keep(rest: Sequence[str]) -> None:
    if any(word.partition("=")[0] == "--artifacts" for word in rest):
        message = "--artifacts: a Job of this command has no volume, and a trace is too large for "
        message += "its log; its tables are in the report. To keep the trace, run the probe in a "
        message += "pod of your own with a volume (docs/probes-guide.md)"
        raise KubectlError(message, WRONG_INPUT)


def _here(
    output: str | None, probes: Sequence[str], watch: Watch | None, rest: Sequence[str]
) -> int:
    if watch is not None:
        return run_here(probes[0], [*watch.flags, "--format", watch.form, *rest])
    if len(probes) == 1:
        return run_here(probes[0], [*rest, *(["--output", output] if output else ["--table"])])
    progress = _Progress(rewrites=False)
    return _told(ask_here(probes, progress), output)


def _on_nodes(
    arguments: argparse.Namespace, probes: Sequence[str], watch: Watch | None, rest: Sequence[str]
) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        # Also where a shell started us with the signal ignored: Jobs are not to stay behind.
        signal.signal(number, _stop)
    try:
        kubectl = Kubectl.of(arguments)
        nodes = choose_nodes(_nodes(kubectl, arguments.selector), arguments.node)
        if watch is not None:
            return _watch_there(arguments, kubectl, nodes, watch, rest)
        return _there(arguments, kubectl, nodes, probes, rest)
    except KeyboardInterrupt:
        print("infertune: stopped; its Jobs are deleted", file=sys.stderr)
        # A watch has no other end than this one.
        return INTERRUPTED if watch is None else 0


def _there(
    arguments: argparse.Namespace,
    kubectl: Kubectl,
    nodes: Sequence[ProbeNode],
    probes: Sequence[str],
    rest: Sequence[str],
) -> int:
    progress = _Progress()
    answers: list[NodeAnswer] = []
    for probe in probes:
        order = _order(arguments, kubectl, probe, nodes, rest)
        fleet = Fleet(kubectl, order, progress, arguments.at_once, arguments.start_seconds)
        answers += fleet.run(nodes)
    progress.close()
    return _told(answers, arguments.output)


def _watch_there(
    arguments: argparse.Namespace,
    kubectl: Kubectl,
    nodes: Sequence[ProbeNode],
    watch: Watch,
    rest: Sequence[str],
) -> int:
    check_watched(nodes)
    probe = arguments.probe[0]
    words = [*watch.flags, "--format", "jsonl", *rest]
    order = replace(
        _order(arguments, kubectl, probe, nodes, words),
        deadline_seconds=job_seconds(watch, arguments.start_seconds),
    )
    progress = _Progress(rewrites=False)
    view = View(probe, watch, sys.stdout, progress)
    return Watching(kubectl, order, watch, view, progress, arguments.start_seconds).run(nodes)


def _order(
    arguments: argparse.Namespace,
    kubectl: Kubectl,
    probe: str,
    nodes: Sequence[ProbeNode],
    rest: Sequence[str],
) -> Order:
    """Return the order for one probe; each has a run of its own, so that its Jobs are its own."""
    loads = probe in LOADS_A_DEVICE and any(node.gpus for node in nodes)
    image, namespace = arguments.image, arguments.namespace
    if image is None or namespace is None:
        installed = _installed(kubectl, gpu=loads)
        image, namespace = image or installed[0], namespace or installed[1]
    return Order(
        run=secrets.token_hex(4),
        probe=probe,
        namespace=namespace,
        image=image,
        arguments=tuple(rest),
        runtime_class=arguments.runtime_class,
    )


def _told(answers: Sequence[NodeAnswer], output: str | None) -> int:
    if output is None:
        sys.stdout.write(as_text(answers, style_of(sys.stdout)))
    else:
        _write(json.dumps(as_document(answers), indent=1) + "\n", output)
    return exit_status(answers)


def choose_nodes(raw: Sequence[Mapping[str, Any]], names: Sequence[str] | None) -> list[ProbeNode]:
    """Return the named nodes, or without names every node that is Ready, by name.

    Raises:
        KubectlError: a name is no node, or no node is left.
    """
    there = {node["metadata"]["name"]: node for node in raw}
    unknown = [name for name in names or () if name not in there]
    if unknown:
        known = ", ".join(sorted(there)[:10])
        message = f"--node: no such node: {', '.join(unknown)} (there are: {known})"
        raise KubectlError(message, WRONG_INPUT)
    ready = sorted(name for name, node in there.items() if _is_ready(node))
    chosen = list(dict.fromkeys(names)) if names else ready
    if not chosen:
        raise KubectlError("--all-nodes: no node is Ready", WRONG_INPUT)
    return [ProbeNode(name, _gpus(there[name])) for name in chosen]


def _nodes(kubectl: Kubectl, selector: str | None) -> list[dict[str, Any]]:
    chosen = [f"--selector={selector}"] if selector else []
    items: list[dict[str, Any]] = kubectl.read("get", "nodes", *chosen)["items"]
    return items


def _installed(kubectl: Kubectl, *, gpu: bool) -> tuple[str, str]:
    """Return the probe image and the namespace of the operator that is installed.

    Raises:
        KubectlError: there is none, or it cannot be seen.
    """
    found = kubectl.read("get", "deployments", "--all-namespaces", f"--selector={_OPERATOR}")
    for deployment in found["items"]:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            values = {one["name"]: one.get("value", "") for one in container.get("env", [])}
            cpu_image = values.get("INFERTUNE_PROBE_IMAGE", "")
            image = (values.get("INFERTUNE_GPU_PROBE_IMAGE") if gpu else "") or cpu_image
            if image:
                return image, deployment["metadata"]["namespace"]
    message = "no operator is installed here: name --image IMAGE and --namespace NS"
    raise KubectlError(message, WRONG_INPUT)


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _gpus(node: Mapping[str, Any]) -> int:
    text = str(node.get("status", {}).get("allocatable", {}).get(GPU_RESOURCE, "0"))
    return int(text) if text.isdigit() else 0


def _write(text: str, output: str) -> None:
    if output == "-":
        sys.stdout.write(text)
    else:
        Path(output).write_text(text, encoding="utf-8")


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Progress:
    """One line on standard error: rewritten on a terminal, a new one at each change elsewhere."""

    def __init__(self, *, rewrites: bool = True) -> None:
        self._last = ""
        self._terminal = rewrites and sys.stderr.isatty()

    def __call__(self, line: str) -> None:
        if line == self._last:
            return
        text = f"\r\033[K{line}" if self._terminal else f"{line}\n"
        sys.stderr.write(text)
        sys.stderr.flush()
        self._last = line

    def close(self) -> None:
        """End the line."""
        if self._terminal and self._last:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
