"""A kubectl over a folder: Jobs are files, and each node does what its script says.

Run as a program by the tests of commands that follow logs, since a log that is followed is a
process. The folder holds `nodes/NAME.json`: phase, lines, and whether the pod ends after them.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])


def node_of(job: dict[str, Any]) -> str:
    affinity = job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (terms,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return str(terms["matchFields"][0]["values"][0])


def script_of(node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "nodes" / f"{node}.json").read_text())
    return found


def jobs() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((FOLDER / "jobs").glob("*.json"))]


def read_to_the_end(node: str) -> bool:
    return (FOLDER / f"{node}.read").exists()


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    node = node_of(job)
    script = script_of(node)
    status: dict[str, Any] = {"phase": script["phase"]}
    if script.get("exit") is not None and read_to_the_end(node):
        status["phase"] = "Succeeded" if script["exit"] == 0 else "Failed"
        ended = {"terminated": {"exitCode": script["exit"], "reason": script.get("reason", "")}}
        status["containerStatuses"] = [{"name": "probe", "restartCount": 0, "state": ended}]
    owner = {"uid": job["metadata"]["uid"], "controller": True}
    metadata = {"name": f"pod-of-{node}", "uid": f"pod-of-{node}", "ownerReferences": [owner]}
    metadata["creationTimestamp"] = "2026-03-01T12:00:00Z"
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def create() -> None:
    job = json.loads(sys.stdin.read())
    name = job["metadata"]["name"]
    job["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": "2026-03-01T12:00:00Z"}
    (FOLDER / "jobs" / f"{name}.json").write_text(json.dumps(job))
    (FOLDER / f"made-{name}.json").write_text(json.dumps(job))


def logs(pod: str) -> None:
    node = pod.removeprefix("pod-of-")
    script = script_of(node)
    for line in script["lines"]:
        say(line)
    if script.get("exit") is None:
        time.sleep(600)
    (FOLDER / f"{node}.read").write_text("")


def main(words: list[str]) -> int:
    if words[0] == "create":
        create()
    elif words[0] == "logs":
        logs(words[1])
    elif words[0] == "delete":
        for path in (FOLDER / "jobs").glob("*.json"):
            path.unlink()
    elif words[:2] == ["get", "node"]:
        ready = script_of(words[2]).get("ready", "True")
        condition = {"type": "Ready", "status": ready}
        say(json.dumps({"status": {"conditions": [condition]}}))
    elif words[:2] == ["get", "nodes"]:
        names = [path.stem for path in sorted((FOLDER / "nodes").glob("*.json"))]
        ready = [{"type": "Ready", "status": "True"}]
        items = [{"metadata": {"name": n}, "status": {"conditions": ready}} for n in names]
        say(json.dumps({"items": items}))
    elif words[:2] == ["get", "jobs"]:
        say(json.dumps({"items": jobs()}))
    elif words[:2] == ["get", "pods"]:
        say(json.dumps({"items": [pod_of(job) for job in jobs()]}))
    else:
        say(json.dumps({"items": [{"message": "no image"}]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
