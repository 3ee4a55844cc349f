"""``infertune probe gpu|system --watch``: several nodes at once, as one stream.

Role: one Job for each node that runs the probe's own watch, the logs of all of them followed and
merged, and a word for every node that falls silent. Must not know: what a row means. Trade-off: a
process of kubectl for each node, which is why at most twenty nodes are watched at once.
"""

import argparse
import os
import queue
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from infertune.adapters.kube.jobs import job_view, newest_pod
from infertune.cli.kubectl import WRONG_INPUT, Kubectl, KubectlError
from infertune.cli.log_follower import Follower
from infertune.cli.probe_jobs import MOST_AT_ONCE, ProbeNode, Progress, RunJobs, reason_of
from infertune.core.manifests.shell_probe import Order
from infertune.core.snapshot import RawObject
from infertune.report.watch_rows import (
    WATCHABLE,
    WatchRow,
    as_csv,
    as_json_line,
    parse_row,
    plain,
    screen,
)

POLL_SECONDS = 2.0
# Without --count: a Job whose shell was killed outright must not watch for ever.
LONGEST_SECONDS = 3600
_SLACK_SECONDS = 60
# A node that missed so many intervals, and at least so many seconds, is called silent.
_MISSED, _SILENT_SECONDS = 5, 10.0
_LEAST_SECONDS, _MOST_SECONDS = 0.1, 3600.0
_CLEARED = "\033[H\033[2J"


@dataclass(frozen=True, slots=True)
class Watch:
    """What was asked for: how often, how many times (0: until it is stopped), in which form."""

    seconds: float
    count: int
    form: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The probe's own flags for it; ``form`` is left to whoever runs it."""
        count = ("--count", str(self.count)) if self.count else ()
        return ("--watch", f"{self.seconds:g}", *count)


def take_watch(probes: Sequence[str], rest: Sequence[str]) -> tuple[Watch | None, list[str]]:
    """Return the watch that the flags ask for, None without ``--watch``, and the other flags.

    Raises:
        KubectlError: a value is out of its range, or the probe has nothing to watch.
    """
    parser = argparse.ArgumentParser(prog="infertune probe", add_help=False, allow_abbrev=False)
    parser.add_argument("--watch", type=float, nargs="?", const=1.0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--format", choices=("table", "csv", "jsonl"), default="table")
    parser.add_argument("--interval", type=float)
    found, left = parser.parse_known_args(rest)
    if found.watch is None:
        return None, list(rest)
    if len(probes) != 1 or probes[0] not in WATCHABLE:
        message = f"--watch: one of {' or '.join(WATCHABLE)} at a time"
        raise KubectlError(message, WRONG_INPUT)
    seconds = found.watch if found.interval is None else found.interval
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        message = f"--watch: {seconds:g} is not between {_LEAST_SECONDS} and {_MOST_SECONDS:g} s"
        raise KubectlError(message, WRONG_INPUT)
    if found.count < 0:
        message = f"--count: {found.count} must be 0 (no end) or more"
        raise KubectlError(message, WRONG_INPUT)
    return Watch(seconds, found.count, found.format), left


def check_watched(nodes: Sequence[ProbeNode]) -> None:
    """Refuse more nodes than can be followed at once.

    Raises:
        KubectlError: there are too many.
    """
    if len(nodes) > MOST_AT_ONCE:
        message = f"--watch: at most {MOST_AT_ONCE} nodes at once, not {len(nodes)}: name some "
        raise KubectlError(message + "with --node, or fewer with --selector", WRONG_INPUT)


def job_seconds(watch: Watch, start_seconds: float) -> int:
    """Return after how long a Job that nobody deletes ends by itself."""
    lasting = 2 * watch.count * watch.seconds if watch.count else LONGEST_SECONDS
    return int(start_seconds + lasting + _SLACK_SECONDS)


class View:
    """The merged stream, in the form that was asked for."""

    def __init__(self, probe: str, watch: Watch, out: TextIO, tell: Progress) -> None:
        self._probe, self._watch, self._out, self._tell = probe, watch, out, tell
        self._latest: dict[tuple[str, int | None], WatchRow] = {}
        self._problems: dict[str, str] = {}
        self._rows, self._drawn_at, self._stale = 0, 0.0, True

    def row(self, row: WatchRow) -> None:
        """Take one row: written at once, or kept for the next drawing."""
        form = self._watch.form
        if form == "table":
            self._latest[(row.node, row.device)] = row
            self._stale = True
            return
        first = not self._rows
        text = as_csv(self._probe, row, first=first) if form == "csv" else as_json_line(row)
        self._out.write(text)
        self._out.flush()
        self._rows += 1

    def problem(self, node: str, why: str) -> None:
        """Say what is wrong with a node; empty: nothing any more."""
        if self._problems.get(node, "") == why:
            return
        self._problems[node] = why
        self._stale = True
        if self._watch.form != "table" and why:
            self._tell(f"{node}: {plain(why)}")

    def draw(self, now: float, *, last: bool = False) -> None:
        """Draw the table when it is due and something has changed, and at the end."""
        due = last or now - self._drawn_at >= max(0.5, self._watch.seconds)
        if self._watch.form != "table" or not self._stale or not due:
            return
        terminal = self._out.isatty()
        wide = shutil.get_terminal_size().columns if terminal else sys.maxsize
        rows = [self._latest[key] for key in sorted(self._latest, key=_by_device)]
        at = time.strftime("%H:%M:%SZ", time.gmtime())
        title = f"{self._probe}, every {self._watch.seconds:g} s, {at}  (Ctrl-C ends)"
        problems = {node: why for node, why in self._problems.items() if why}
        text = screen(self._probe, title, rows, problems, wide=wide)
        self._out.write((_CLEARED if terminal else "") + text + "\n" + ("" if terminal else "\n"))
        self._out.flush()
        self._drawn_at, self._stale = now, False


@dataclass(slots=True)
class _Watched:
    """One node's Job, and what was heard of it."""

    job: str
    since: float
    follower: Follower | None = None
    heard: float | None = None
    last_words: str = ""
    over: bool = False


@dataclass(slots=True)
class Watching:
    """One watch over some nodes; leaves no Job behind."""

    kubectl: Kubectl
    order: Order
    watch: Watch
    view: View
    tell: Progress
    start_seconds: float
    _nodes: dict[str, _Watched] = field(default_factory=dict)
    _lines: "queue.Queue[tuple[str, str]]" = field(default_factory=lambda: queue.Queue(1000))
    _lost: set[str] = field(default_factory=set)

    def run(self, nodes: Sequence[ProbeNode]) -> int:
        """Watch until the count is reached on every node; return 0, or 2 when one was lost."""
        try:
            for number, node in enumerate(nodes):
                self._start(number, node)
            while any(not one.over for one in self._nodes.values()):
                self._listen(time.monotonic() + POLL_SECONDS)
                self._look()
            self._listen(time.monotonic())
            self.view.draw(time.monotonic(), last=True)
        except BrokenPipeError:
            # `| head` has seen enough; Python must not complain at its own end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        finally:
            self._take_away()
        return 2 if self._lost else 0

    @property
    def _jobs(self) -> RunJobs:
        return RunJobs(self.kubectl, self.order, self.tell)

    def _start(self, number: int, node: ProbeNode) -> None:
        self._nodes[node.name] = _Watched("", time.monotonic())
        self.view.problem(node.name, "starting")
        try:
            self._nodes[node.name].job = self._jobs.create(number, node)
        except KubectlError as error:
            self._lose(node.name, str(error))

    def _listen(self, until: float) -> None:
        """Take the lines that come until then."""
        while True:
            left = until - time.monotonic()
            try:
                node, line = self._lines.get(timeout=min(max(left, 0.0), 0.2))
            except queue.Empty:
                if left <= 0:
                    return
            else:
                self._hear(node, line)
            self.view.draw(time.monotonic())

    def _hear(self, node: str, line: str) -> None:
        row = parse_row(self.order.probe, node, line)
        if row is None:
            self._nodes[node].last_words = line.strip() or self._nodes[node].last_words
            return
        self._nodes[node].heard = time.monotonic()
        self.view.problem(node, "")
        self.view.row(row)

    def _look(self) -> None:
        """Follow the pods that started, and say of every node what keeps it."""
        try:
            jobs = {job["metadata"]["name"]: job for job in self._jobs.found("jobs")}
            pods = self._jobs.found("pods")
        except KubectlError as error:
            self.tell(f"the cluster does not answer: {error}")
            return
        for node, one in self._nodes.items():
            if not one.over:
                self._look_at(node, one, jobs.get(one.job), pods)

    def _look_at(
        self, node: str, one: _Watched, job: RawObject | None, pods: Sequence[RawObject]
    ) -> None:
        if job is None:
            self._lose(node, f"Job {one.job} was deleted")
            return
        pod = newest_pod(job, pods)
        view = job_view(job, "gpu", pod, None, None)
        started = pod is not None and view.pod_phase not in {None, "Pending"}
        if started and pod is not None and (one.follower is None or one.follower.ended):
            if one.follower is None or not view.finished:
                self._follow(node, one, str(pod["metadata"]["name"]))
            elif self._lines.empty():
                self._finish(node, one, reason_of(view))
        elif view.finished and pod is None:
            self._lose(node, reason_of(view) or "its Job ended without a pod")
        elif not started and time.monotonic() - one.since > self.start_seconds:
            why = reason_of(view) or self._jobs.why_podless(one.job)
            self._lose(node, f"not started within {self.start_seconds:g} s: {why}")
        elif one.heard is not None:
            self._mind_silence(node, one.heard)

    def _follow(self, node: str, one: _Watched, pod: str) -> None:
        """Read on where an earlier follower was cut off, or from the first line."""
        again = one.follower is not None
        if one.follower is not None:
            one.follower.stop()
            if one.heard is None and one.last_words:
                self.view.problem(node, one.last_words)
        one.follower = Follower(self.kubectl, self.order.namespace, pod, again=again)
        one.follower.start(lambda line: self._lines.put((node, line)))

    def _finish(self, node: str, one: _Watched, reason: str) -> None:
        if reason or one.heard is None:
            self._lose(node, "; ".join(filter(None, (one.last_words, reason))) or "it said nothing")
        one.over = True

    def _mind_silence(self, node: str, heard: float) -> None:
        silent = time.monotonic() - heard
        if silent > max(_MISSED * self.watch.seconds, self.watch.seconds + _SILENT_SECONDS):
            why = f"silent for {silent:.0f} s"
            self.view.problem(
                node, why + (", its node is not Ready" if self._is_gone(node) else "")
            )

    def _is_gone(self, node: str) -> bool:
        try:
            raw = self.kubectl.read("get", "node", node)
        except KubectlError:
            return False
        conditions = raw.get("status", {}).get("conditions", [])
        return not any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)

    def _lose(self, node: str, why: str) -> None:
        self._lost.add(node)
        self._nodes[node].over = True
        self.view.problem(node, f"lost: {why}")

    def _take_away(self) -> None:
        for one in self._nodes.values():
            if one.follower is not None:
                one.follower.stop()
        if self._nodes:
            self._jobs.delete_all()


def _by_device(key: tuple[str, int | None]) -> tuple[str, int]:
    return key[0], -1 if key[1] is None else key[1]
