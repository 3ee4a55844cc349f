"""The commands that people and CI type do what they say, and fail when they must."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.paths import ROOT

# Stands for the environment's Python: it writes down what devcluster is asked, and keeps the
# cluster's state in a file: absent, "half" or "up".
STUB = """\
#!/bin/bash
command="$3"
echo "$command" >> calls
case "$command" in
  status) [[ "$(cat state 2>/dev/null)" == up ]] ;;
  kubeconfig) [[ -f state ]] && echo /state/kubeconfig ;;
  up) [[ ! -f refuses ]] && echo up > state ;;
  down) rm -f state ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the script, with a devcluster that only pretends."""

    root: Path

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if "KUBECONFIG" not in key}
        return subprocess.run(
            [self.root / ".ci" / "with-cluster", "bash", "-c", command],
            env={**clean, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def changes(self) -> list[str]:
        """Return the calls that change a cluster, in order."""
        calls = self.root / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if line in ("up", "down")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STUB)
    python.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "with-cluster", tmp_path / ".ci")
    return Checkout(tmp_path)


def test_a_cluster_that_ran_before_is_used_and_left_alone(checkout: Checkout) -> None:
    (checkout.root / "state").write_text("up\n")
    done = checkout.run('echo "$KUBECONFIG ${INFERTUNE_TEST_KUBECONFIG-unset}"')
    # Tests that only ask an API server keep to one of their own: nobody tunes beside them there.
    assert (done.returncode, done.stdout) == (0, "/state/kubeconfig unset\n")
    assert checkout.changes() == []


def test_a_cluster_that_was_started_is_taken_down_and_the_failure_is_passed_on(
    checkout: Checkout,
) -> None:
    """pytest's status 5 says that no test ran: that is a failure too."""
    assert checkout.run("exit 5").returncode == 5
    assert checkout.changes() == ["up", "down"]


def test_a_cluster_that_is_half_up_is_repaired_and_left_running(checkout: Checkout) -> None:
    (checkout.root / "state").write_text("half\n")
    assert checkout.run("true").returncode == 0
    assert checkout.changes() == ["up"]


def test_where_no_cluster_can_be_had_nothing_runs_and_the_status_says_so(
    checkout: Checkout,
) -> None:
    (checkout.root / "refuses").touch()
    done = checkout.run("echo the tests ran")
    assert done.returncode == 1
    assert "no cluster could be started" in done.stderr
    assert done.stdout == ""
    # It was refused before anything was made, so there is nothing of ours to take down.
    assert checkout.changes() == ["up"]


def test_a_named_kubeconfig_wins(checkout: Checkout) -> None:
    done = checkout.run("exit 3", INFERTUNE_TEST_KUBECONFIG="/mine")
    assert done.returncode == 3
    assert checkout.changes() == []


def test_make_help_lists_every_target_once() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE)
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == targets


def test_ci_runs_the_command_of_the_readme() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"


def test_no_command_swallows_a_failure() -> None:
    """Every recipe and script stops at the first failure; `|| true` would hide one."""
    scripts = [ROOT / "Makefile", *(ROOT / ".ci").iterdir(), ROOT / "requirements" / "install.sh"]
    texts = {path.name: path.read_text() for path in scripts}
    assert [name for name, text in texts.items() if "|| true" in text] == []
    assert [name for name, text in texts.items() if "-euo pipefail" not in text] == []
