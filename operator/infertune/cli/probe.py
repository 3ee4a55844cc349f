"""``infertune probe NAME``: run a probe here, or as Jobs on nodes, and show what it found.

Role: choose nodes, image and namespace from what the user and the cluster say. Must not know: how a
probe measures. Trade-off: flags that this command does not know are handed to the probe, so each
probe keeps its own help (``infertune probe NAME --help-probe``) and nothing is written twice.
"""

import argparse
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from infertune.cli.kubectl import WRONG_INPUT, Kubectl, KubectlError, add_kubectl
from infertune.cli.parsing import Commands
from infertune.cli.probe_fleet import MOST_AT_ONCE, START_SECONDS, Fleet, ProbeNode
from infertune.core.manifests.shell_probe import LOADS_A_DEVICE, Order
from infertune.core.resolve import GPU_RESOURCE
from infertune.report.probe_report import as_document, as_text, exit_status
from infertune_probes.contract.terminal import style_of

PROBES = ("gpu", "versions", "benchmark", "system", "profiler", "memory")
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
        "here go to the probe itself; --help-probe shows them."
    )
    parser.add_argument("probe", metavar="NAME", choices=PROBES, help=", ".join(PROBES))
    parser.add_argument("--help-probe", action="store_true", help="show the probe's own flags")
    parser.add_argument(
        "--output", metavar="FILE", help="write JSON to FILE ('-': standard output), not a table"
    )
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
    add_kubectl(parser)
    parser.set_defaults(run=_run, passes_on=True)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.help_probe:
        return _here(arguments.probe, ["--help"])
    on_nodes = arguments.node or arguments.all_nodes
    if not on_nodes:
        output = ["--output", arguments.output] if arguments.output else ["--table"]
        return _here(arguments.probe, [*arguments.rest, *output])
    for number in (signal.SIGTERM, signal.SIGINT):
        # Also where a shell started us with the signal ignored: Jobs are not to stay behind.
        signal.signal(number, _stop)
    try:
        return _there(arguments)
    except KubectlError as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("infertune: stopped; its Jobs are deleted", file=sys.stderr)
        return INTERRUPTED


def _here(probe: str, words: Sequence[str]) -> int:
    """Run the probe as a process of its own; signals of the terminal reach it by themselves."""
    command = [sys.executable, "-m", f"infertune_probes.{probe}", *words]
    with subprocess.Popen(command) as process:  # noqa: S603  # our own module
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The probe got the same signal and is writing its partial envelope.
                continue


def _there(arguments: argparse.Namespace) -> int:
    kubectl = Kubectl.of(arguments)
    nodes = choose_nodes(_nodes(kubectl, arguments.selector), arguments.node)
    loads = arguments.probe in LOADS_A_DEVICE and any(node.gpus for node in nodes)
    image, namespace = arguments.image, arguments.namespace
    if image is None or namespace is None:
        installed = _installed(kubectl, gpu=loads)
        image, namespace = image or installed[0], namespace or installed[1]
    order = Order(
        run=secrets.token_hex(4),
        probe=arguments.probe,
        namespace=namespace,
        image=image,
        arguments=tuple(arguments.rest),
        runtime_class=arguments.runtime_class,
    )
    progress = _Progress()
    fleet = Fleet(kubectl, order, progress, arguments.at_once, arguments.start_seconds)
    answers = fleet.run(nodes)
    progress.close()
    if arguments.output is None:
        sys.stdout.write(as_text(arguments.probe, answers, style_of(sys.stdout)))
    else:
        _write(json.dumps(as_document(arguments.probe, answers), indent=1) + "\n", arguments.output)
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

    def __init__(self) -> None:
        self._last = ""
        self._terminal = sys.stderr.isatty()

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
