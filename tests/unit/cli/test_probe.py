"""``infertune probe``: which nodes, what a node's silence means, and one report of many answers."""

import json
import sys
from typing import Any

import pytest

from infertune.cli import main, probe_fleet
from infertune.cli.kubectl import KubectlError
from infertune.cli.probe import choose_nodes
from infertune.cli.probe_fleet import Fleet
from infertune.cli.probe_jobs import ProbeNode
from infertune.core.manifests.shell_probe import LABEL_RUN, Order, shell_probe_job
from infertune.report.probe_report import NodeAnswer, as_document, as_text, exit_status
from infertune_probes.contract.emit import seal, summarise
from infertune_probes.contract.envelope import Envelope, Finding, measured, serialise
from infertune_probes.contract.load import parse_envelope
from infertune_probes.contract.terminal import Style

ORDER = Order("ab12", "gpu", "ops", "registry.example/probes:1", ("--require",), "nvidia")
HOST = {
    "hostname": "h",
    "operatingSystem": "Linux",
    "kernel": "6.1",
    "architecture": "x86_64",
    "python": "3.11.2",
    "cpuModel": None,
    "cpuCount": 2,
    "cpuLimit": None,
    "memoryBytes": None,
    "memoryLimitBytes": None,
}


def payload(node: str, *findings: Finding, temperature: float = 40.0, pod: str = "") -> bytes:
    times = {"started_at": "2026-03-01T12:00:00Z", "finished_at": "2026-03-01T12:00:05Z"}
    figures = (measured("temperature", "Cel", temperature, 1),)
    made = Envelope("gpu", node, None, host=dict(HOST), findings=findings, **times)
    return serialise(
        Envelope(**{**vars(made), "measurements": figures, "pod": pod or f"pod-of-{node}"})
    )


def answer(node: str, *findings: Finding, temperature: float = 40.0) -> NodeAnswer:
    return NodeAnswer(node, parse_envelope(payload(node, *findings, temperature=temperature)))


GOOD = Finding("DEVICE_HEALTHY", "pass", "device 0 is well")
BAD = Finding("ECC_UNCORRECTED", "fail", "device 1: 3 errors", "drain the node")


class FakeKubectl:
    """A cluster in which each node ends in the way that was scripted for it."""

    def __init__(self, **endings: Any) -> None:
        self.endings = endings
        self.jobs: dict[str, dict[str, Any]] = {}
        self.most_at_once = 0
        self.reads = 0

    def text(self, verb: str, *words: str, stdin: str | None = None) -> str:
        if verb == "create":
            job = json.loads(stdin or "")
            if self.endings[self.node_of(job)] == "refused":
                raise KubectlError("exceeded quota: pods")
            name = job["metadata"]["name"]
            job["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": "2026-03-01T12:00:00Z"}
            self.jobs[name] = job
            self.most_at_once = max(self.most_at_once, len(self.jobs))
        elif verb == "delete":
            names = [w for w in words if not w.startswith("--")][1:]
            for name in names if "ops" not in names else names[:-1]:
                self.jobs.pop(name)
        elif verb == "logs":
            return str(self.endings[words[0].removeprefix("pod-of-")][1])
        return ""

    def read(self, _verb: str, kind: str, *words: str) -> dict[str, Any]:
        self.reads += 1
        if kind == "events":
            return {"items": [{"message": "violates PodSecurity"}]}
        found = {"jobs": list(self.jobs.values()), "pods": self.pods()}
        return {"items": found[kind]}

    def pods(self) -> list[dict[str, Any]]:
        return [p for job in self.jobs.values() if (p := self.pod(job)) is not None]

    def pod(self, job: dict[str, Any]) -> dict[str, Any] | None:
        node = self.node_of(job)
        ending = self.endings[node]
        if ending == "podless":
            return None
        status: dict[str, Any] = {"phase": "Pending"}
        if ending == "unplaced":
            why = {"reason": "Unschedulable", "message": "0/3 nodes are available"}
            status["conditions"] = [{"type": "PodScheduled", "status": "False", **why}]
        elif isinstance(ending, tuple):
            ended = {"terminated": {"exitCode": 0, "message": ending[0]}}
            status = {"phase": "Succeeded"}
            status["containerStatuses"] = [{"name": "probe", "restartCount": 0, "state": ended}]
        owner = {"uid": job["metadata"]["uid"], "controller": True}
        metadata = {"name": f"pod-of-{node}", "uid": f"pod-of-{node}", "ownerReferences": [owner]}
        metadata["creationTimestamp"] = "2026-03-01T12:00:00Z"
        return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}

    @staticmethod
    def node_of(job: dict[str, Any]) -> str:
        affinity = job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
        (terms,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        return str(terms["matchFields"][0]["values"][0])


def told(node: str, *findings: Finding, pod: str = "") -> tuple[str, str]:
    raw = payload(node, *findings, pod=pod)
    end = "2026-03-01T12:00:05Z"
    return summarise(Envelope("gpu", node, None, end, end, {}, findings=findings), raw), seal(raw)


def run(monkeypatch: pytest.MonkeyPatch, at_once: int = 20, **endings: Any) -> Any:
    monkeypatch.setattr(probe_fleet, "POLL_SECONDS", 0.0)
    kubectl = FakeKubectl(**endings)
    fleet = Fleet(kubectl, ORDER, lambda _: None, at_once, start_seconds=0.0)  # type: ignore[arg-type]
    answers = fleet.run([ProbeNode(node, 0) for node in endings])
    return kubectl, {a.node: a for a in answers}


def test_every_node_answers_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl, answers = run(
        monkeypatch,
        well=told("well", GOOD),
        sick=told("sick", BAD),
        refused="refused",
        podless="podless",
        unplaced="unplaced",
        silent=("", ""),
        forged=told("forged", GOOD, pod="pod-of-another"),
    )
    assert {node: answer.ending for node, answer in answers.items()} == {
        "well": "pass",
        "sick": "fail",
        "refused": "no answer",
        "podless": "no answer",
        "unplaced": "no answer",
        "silent": "no answer",
        "forged": "no answer",
    }
    assert answers["refused"].problem == "exceeded quota: pods"
    assert answers["podless"].problem == "not started within 0 s: violates PodSecurity"
    assert "Unschedulable: 0/3 nodes are available" in answers["unplaced"].problem
    assert answers["silent"].problem.startswith("NoResult: ")
    assert answers["forged"].problem.startswith("PayloadForeign: ")
    assert kubectl.jobs == {}


def test_no_more_jobs_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {f"n{at}": told(f"n{at}", GOOD) for at in range(7)}
    kubectl, answers = run(monkeypatch, at_once=2, **nodes)
    assert kubectl.most_at_once == 2
    assert [answer.ending for answer in answers.values()] == ["pass"] * 7


def test_an_interrupted_run_takes_its_jobs_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_fleet, "POLL_SECONDS", 0.0)
    kubectl = FakeKubectl(n1="hangs")
    deleted: list[tuple[str, ...]] = []

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    def text(verb: str, *words: str, stdin: str | None = None) -> str:
        if verb == "delete":
            deleted.append(words)
            return ""
        return FakeKubectl.text(kubectl, verb, *words, stdin=stdin)

    kubectl.text = text  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        Fleet(kubectl, ORDER, stop).run([ProbeNode("n1", 0)])  # type: ignore[arg-type]
    assert [words[1] for words in deleted] == [f"--selector={LABEL_RUN}=ab12"]


def raw_node(name: str, *, ready: bool = True, gpus: str = "") -> dict[str, Any]:
    allocatable = {"cpu": "4"} | ({"nvidia.com/gpu": gpus} if gpus else {})
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": {"name": name},
        "status": {"allocatable": allocatable, "conditions": [condition]},
    }


def test_all_nodes_are_those_that_are_ready() -> None:
    nodes = [raw_node("b", gpus="8"), raw_node("a"), raw_node("c", ready=False)]
    assert choose_nodes(nodes, None) == [ProbeNode("a", 0), ProbeNode("b", 8)]
    assert choose_nodes(nodes, ["c", "b", "c"]) == [ProbeNode("c", 0), ProbeNode("b", 8)]


@pytest.mark.parametrize(
    ("nodes", "names", "problem"),
    [
        ([raw_node("a")], ["z"], "--node: no such node: z (there are: a)"),
        ([raw_node("a", ready=False)], None, "--all-nodes: no node is Ready"),
    ],
)
def test_no_node_to_ask_is_wrong_input(nodes: list[Any], names: Any, problem: str) -> None:
    with pytest.raises(KubectlError) as caught:
        choose_nodes(nodes, names)
    assert (str(caught.value), caught.value.status) == (problem, 2)


def test_a_probe_that_only_looks_asks_for_no_device() -> None:
    job = shell_probe_job(ORDER, "n1", 0, gpus=8)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert {e["name"]: e.get("value") for e in container["env"]}["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert pod["runtimeClassName"] == "nvidia"
    assert container["args"] == ["infertune_probes.gpu", "--require"]


def test_a_probe_that_loads_a_device_asks_for_one_where_there_is_one() -> None:
    order = Order("ab12", "benchmark", "ops", "registry.example/probes:1")
    limits = [
        shell_probe_job(order, "n1", 0, gpus)["spec"]["template"]["spec"]["containers"][0]
        for gpus in (8, 0)
    ]
    assert [one["resources"]["limits"].get("nvidia.com/gpu") for one in limits] == ["1", None]


def test_the_report_names_the_worst_first_and_groups_what_is_equal() -> None:
    answers = [
        answer("a", GOOD, temperature=40.0),
        answer("b", GOOD, BAD, temperature=71.0),
        NodeAnswer("c", problem="Evicted: the node was low on memory", probe="gpu"),
    ]
    assert as_text(answers, Style()) == (
        "gpu on 3 nodes: 1 fail, 1 no answer, 1 pass\n\n"
        "no answer from c, gpu: Evicted: the node was low on memory\n\n"
        "fail    ECC_UNCORRECTED on b\n"
        "        device 1: 3 errors\n"
        "        fix: drain the node\n\n"
        "pass    DEVICE_HEALTHY on a, b\n"
        "        device 0 is well\n\n"
        "measurement  unit  nodes  lowest  median  highest  lowest on\n"
        "temperature  Cel       2      40      71       71  a\n"
    )


def test_a_large_fleet_fits_a_screen() -> None:
    answers = [answer(f"n{at:04}", GOOD) for at in range(1000)]
    assert len(as_text(answers, Style()).splitlines()) == 7


def test_the_document_keeps_every_envelope_and_every_silence() -> None:
    document = as_document([answer("a", GOOD), NodeAnswer("b", problem="gone", probe="gpu")])
    assert document["schema"] == "infertune.io/probe-report/v1"
    kept, missing = document["nodes"]
    assert parse_envelope(json.dumps(kept["envelope"]).encode()).node == "a"
    silent = {"verdict": None, "problem": "gone", "envelope": None}
    assert missing == {"node": "b", "probe": "gpu", **silent}


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([answer("a", GOOD)], 0),
        ([answer("a", BAD), NodeAnswer("b", problem="gone")], 1),
        ([answer("a", GOOD), NodeAnswer("b", problem="gone")], 2),
        ([], 2),
    ],
    ids=["all well", "one failed", "one silent", "nobody asked"],
)
def test_the_exit_status_is_that_of_the_worst(answers: list[NodeAnswer], status: int) -> None:
    assert exit_status(answers) == status


def test_here_unknown_flags_reach_the_probe(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "gpu", "--require", "--output", "-", "--deadline-seconds", "5"]) == 1
    assert parse_envelope(capfd.readouterr().out.encode()).verdict == "fail"


def test_a_pipe_gets_the_table_as_well(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "gpu"]) == 0
    assert "NO_DEVICE: " in capfd.readouterr().out


def test_other_commands_still_refuse_unknown_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["version", "--bogus"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --bogus" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["profiler", "--node", "a", "--artifacts", "/x"], "--artifacts: a Job of this command"),
        (["profiler", "--node", "a", "--artifacts=/x"], "--artifacts: a Job of this command"),
        (["gpu", "system", "--require"], "--require: flags of a probe need that probe alone"),
        (["gpu", "--watch", "1", "--output", "x"], "use > FILE in place of --output"),
    ],
    ids=["artifacts on a node", "with an equals sign", "flags for two", "a watch into a file"],
)
def test_what_cannot_be_done_is_said_before_anything_runs(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", *words, "--kubectl", "/nonexistent"]) == 2
    assert problem in capsys.readouterr().err


def test_several_probes_here_are_one_report(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "gpu", "versions", "--output", "-"]) == 0
    seen = capfd.readouterr()
    document = json.loads(seen.out)
    assert document["probe"] == "gpu, versions"
    assert [one["envelope"]["probe"] for one in document["nodes"]] == ["gpu", "versions"]
    assert "2 of 2: versions" in seen.err


def test_an_unknown_probe_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["probe", "gpus"])
    assert caught.value.code == 2
    assert "invalid choice: 'gpus'" in capsys.readouterr().err
    assert sys.exc_info() == (None, None, None)
