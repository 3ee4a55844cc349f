"""The command line: `python -m devcluster up|down|status|kubeconfig|prepare|control-plane`.

Exit codes: 0 done, 1 something failed, 2 refused before any change. The answer of
`kubeconfig` and `status` goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import api, components, exclusion, lifecycle
from devcluster.console import last_lines, say
from devcluster.control_plane import control_plane
from devcluster.errors import DevclusterError, RefusedError
from devcluster.node import nodes
from devcluster.settings import Settings, from_environment, number_of_nodes, saved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMANDS = {
    "up": "start or repair the node and wait until it is Ready",
    "down": "end it and undo every change",
    "status": "say which components run",
    "kubeconfig": "print the path of the kubeconfig",
    "prepare": "only fill the cache: programs, packages, base image",
    "control-plane": "an API server without a node, until Ctrl-C; or `-- COMMAND` with it",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    text = "\n".join(f"  {name:<15}{what}" for name, what in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="python -m devcluster",
        description="A real Kubernetes node on one machine.\n\n" + text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("command", choices=COMMANDS)
    made.add_argument("--state-dir", type=Path, help="state, logs and kubeconfig")
    made.add_argument("--nodes", metavar="N", help="up: have 1 node or 2; as many as there are")
    made.add_argument("--bin-dir", type=Path, help="take programs from here first")
    return made


def settings_for(options: argparse.Namespace) -> Settings:
    """Return the settings of the environment with the options over them."""
    settings = from_environment(os.environ)
    if options.state_dir:
        settings = dataclasses.replace(settings, state=options.state_dir.resolve())
    if options.bin_dir:
        settings = dataclasses.replace(settings, bin_dir=options.bin_dir.resolve())
    return settings


def status(settings: Settings) -> int:
    """Print one line per component; 0 when the node is up, 1 when not."""
    known = saved(settings.state)
    if known is None:
        print(f"down: no cluster in {settings.state}")
        return 1
    alive = components.running(known)
    names = components.names(known)
    for name in names:
        print(f"{name:<26}{f'running, pid {alive[name].pid}' if name in alive else 'not running'}")
    for name in names:
        if name not in alive:
            print(f"{name}: {known.logs}/{name}.log\n{last_lines(known.logs / f'{name}.log')}")
    ready = lifecycle.is_up(known)
    for node in nodes(known):
        said = "Ready" if api.node_ready(known, node.name) else "not Ready"
        print(f"node {node.name} ({node.address}) is {said}")
    print(f"state in {known.state}")
    return 0 if ready else 1


def _kubeconfig(settings: Settings) -> int:
    known = saved(settings.state)
    if known is None:
        say(f"no cluster in {settings.state}; run: python -m devcluster up")
        return 1
    print(known.kubeconfig)
    return 0


def _prepare(settings: Settings) -> int:
    from devcluster import base_image

    lifecycle.refuse_unfit_machine()
    with exclusion.alone():
        lifecycle.prepare(settings)
        base_image.ensure_base(settings)
    return 0


def _up(settings: Settings, nodes: str | None) -> int:
    lifecycle.up(settings, number_of_nodes("--nodes", nodes) if nodes is not None else None)
    return 0


def _down(settings: Settings) -> int:
    lifecycle.down(settings)
    return 0


def _control_plane(settings: Settings, folder: Path | None, words: Sequence[str]) -> int:
    """Have a control plane while a command runs, or until somebody interrupts."""
    if folder and saved(folder):
        msg = f"{folder} belongs to a node; name another folder, or none"
        raise RefusedError(msg)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="infertune-")))
        made = stack.enter_context(control_plane(settings, folder))
        if words:
            env = {**os.environ, "KUBECONFIG": str(made.kubeconfig)}
            return subprocess.run(words, env=env, check=False).returncode
        say(f"the API server answers; KUBECONFIG={made.kubeconfig}; Ctrl-C ends it")
        print(made.kubeconfig, flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


def dispatch(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Run one command and return its exit code; `words` is a command for `control-plane`.

    Raises:
        RefusedError: An option or a command does not belong to it.
    """
    settings, command = settings_for(options), options.command
    if options.nodes is not None and command != "up":
        msg = f"--nodes is said to `up`, not to `{command}`"
        raise RefusedError(msg)
    if words and command != "control-plane":
        msg = f"a command after -- is for `control-plane`, not for `{command}`"
        raise RefusedError(msg)
    actions: dict[str, Callable[[], int]] = {
        "up": lambda: _up(settings, options.nodes),
        "down": lambda: _down(settings),
        "status": lambda: status(settings),
        "kubeconfig": lambda: _kubeconfig(settings),
        "prepare": lambda: _prepare(settings),
        "control-plane": lambda: _control_plane(settings, options.state_dir, words),
    }
    return actions[command]()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    cut = given.index("--") if "--" in given else len(given)
    options = parser().parse_args(given[:cut])
    try:
        return dispatch(options, given[cut + 1 :])
    except RefusedError as error:
        say(str(error))
        return 2
    except DevclusterError as error:
        say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say("interrupted; run the command again to go on, or `down` to undo")
        return 130
