"""``infertune release`` with a kubectl that only pretends: input, retries, words."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from infertune.cli import main
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD

STUB = """\
#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
answers = json.loads((here / "answers.json").read_text())
verb = next(a for a in sys.argv[1:] if a in ("get", "patch"))
queue = answers["tuning" if "inferencetunings.infertune.io" in sys.argv else verb]
answer = queue.pop(0) if len(queue) > 1 else queue[0]
(here / "answers.json").write_text(json.dumps(answers))
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("code", 0))
"""


class Kubectl:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "kubectl"
        self.path.write_text(STUB.format(python=sys.executable))
        self.path.chmod(0o755)
        self.answers: dict[str, list[dict[str, Any]]] = {"tuning": [{}], "get": [], "patch": [{}]}

    def run(self, name: str = "prod/demo") -> int:
        (self._folder / "answers.json").write_text(json.dumps(self.answers))
        return main(["release", name, "--context", "far", "--kubectl", str(self.path)])

    def calls(self, verb: str) -> list[list[str]]:
        text = (self._folder / "calls").read_text()
        return [call for line in text.splitlines() if verb in (call := json.loads(line))]


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    return Kubectl(tmp_path)


def listed(*tunings: str) -> dict[str, Any]:
    items = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "namespace": "prod",
                "name": f"of-{tuning}",
                "uid": f"uid-{tuning}",
                "resourceVersion": "7",
                "annotations": {ANNOTATION_LAST_GOOD: json.dumps({"tuning": {"name": tuning}})},
                "managedFields": [{"manager": "infertune", "fieldsV1": {"f:spec": {}}}],
            },
        }
        for tuning in tunings
    ]
    return {"out": json.dumps({"items": items})}


@pytest.mark.parametrize("name", ["demo", "/demo", "prod/", "prod/a/b"])
def test_a_name_without_its_namespace_is_wrong_input(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["release", name]) == 2
    assert f"must be NAMESPACE/NAME (got {name!r})" in capsys.readouterr().err


def test_only_what_bears_the_record_of_this_tuning_is_patched(kubectl: Kubectl) -> None:
    kubectl.answers["get"] = [listed("demo", "other")]
    assert kubectl.run() == 0
    (call,) = kubectl.calls("patch")
    assert call[:6] == ["--context", "far", "-n", "prod", "patch", "Deployment/of-demo"]
    assert json.loads(call[-1]) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
        {"op": "remove", "path": "/metadata/annotations/infertune.io~1last-good"},
    ]


def test_an_object_that_changed_meanwhile_is_read_again(kubectl: Kubectl) -> None:
    kubectl.answers["get"] = [listed("demo")]
    kubectl.answers["patch"] = [{"code": 1, "err": "the test failed"}, {}]
    assert kubectl.run() == 0
    assert len(kubectl.calls("patch")) == 2


def test_a_server_that_refuses_for_good_is_quoted(
    kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.answers["get"] = [listed("demo")]
    kubectl.answers["patch"] = [{"code": 1, "err": "deployments is forbidden"}]
    assert kubectl.run() == 1
    assert "not everything was released: deployments is forbidden" in capsys.readouterr().err
    assert len(kubectl.calls("patch")) == 5


@pytest.mark.parametrize("state", ["Applying", "Verifying", "RollingBack"])
def test_an_open_rollout_is_refused_with_the_way_out(
    kubectl: Kubectl, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.answers["tuning"] = [{"out": json.dumps({"status": {"state": state}})}]
    assert kubectl.run() == 1
    assert f"tuning prod/demo is {state}: annotate it with infertune.io/abort" in (
        capsys.readouterr().err
    )


def test_a_kubectl_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "prod/demo", "--kubectl", "/nowhere/kubectl"]) == 2
    assert "/nowhere/kubectl: not found" in capsys.readouterr().err
