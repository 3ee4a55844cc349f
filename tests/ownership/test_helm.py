"""Helm beside a tuning, on a real API server: an upgrade of the target's chart before and after it.

What each version really does, and what follows:

* Helm 3 compares the last chart with the new one and with what stands. Any upgrade after a tuning
  sets all values of the chart back, even one that changes nothing; we say who did it and stop.
* Helm 4 applies on the server. An upgrade after a tuning fails with a conflict that names us, and
  changes nothing: the tuned values go into the chart's values, or the tuning is released first.
* Helm 4 with ``--server-side=false`` does what Helm 3 does; with ``--force-conflicts`` it takes the
  fields.

Helm 4 is built from the module that ``helm4/go.mod`` pins, once; that takes minutes, so its tests
belong to the full tier.
"""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster.gobuild import ensure_go
from devcluster.settings import current
from infertune.core.ownership import FIELD_MANAGER
from tests.ownership.ground import CHART, Ground, program

MODULE = Path(__file__).parent / "helm4"
PACKAGE = "helm.sh/helm/v4/cmd/helm"
BUILD_SECONDS = 1800


@dataclass(frozen=True)
class Helm:
    """One version of Helm."""

    path: Path

    def upgrade(self, ground: Ground, *values: str, options: tuple[str, ...] = ()) -> str:
        """Install or upgrade the chart; return what Helm said when it failed, else nothing."""
        where = ("upgrade", "--install", "server", CHART, "-n", ground.namespace, *options)
        done = ground.run(self.path, *where, *(part for v in values for part in ("--set", v)))
        return done.stderr if done.returncode else ""


@pytest.fixture(scope="session")
def helm3() -> Helm:
    return Helm(program("helm"))


@pytest.fixture(scope="session")
def helm4() -> Helm:
    """Helm 4 from the cache, else built from the pinned module."""
    settings = current()
    pinned = hashlib.sha256((MODULE / "go.sum").read_bytes()).hexdigest()[:12]
    path = settings.cache / "helm4" / pinned / "helm"
    if not os.access(path, os.X_OK):
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                *("nice", "-n", "5", ensure_go(settings), "build", "-trimpath"),
                *("-ldflags", "-s -w", "-o", str(path), PACKAGE),
            ],
            cwd=MODULE,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
            check=True,
            timeout=BUILD_SECONDS,
        )
    return Helm(path)


def taken_by_helm(ground: Ground, value: str) -> None:
    """Assert that Helm holds the cap, that the tuning says so, and that nothing is written."""
    written = list(ground.connection.applied)
    ground.rests("Halted")
    status, reason, message = ground.condition("FieldConflict")
    assert (status, reason) == ("True", "FieldTaken")
    assert f"(owner: helm) holds '{value}' instead of '16'" in message
    assert (ground.batch(), ground.bounds()) == (value, (1, 2))
    assert ground.owners("batch") == ground.owners("bounds") == {"helm"}
    ground.stays(1.0, lambda: ground.connection.applied == written)


@pytest.mark.real_api
class TestHelm3:
    def test_fields_of_a_release_are_adopted(self, ground: Ground, helm3: Helm) -> None:
        assert helm3.upgrade(ground) == ""
        assert helm3.upgrade(ground, "logLevel=debug") == ""
        assert ground.owners("batch") == {"helm"}
        ground.tune()
        assert ground.owners("batch") == ground.owners("bounds") == {FIELD_MANAGER}
        intent = ground.status().rollout.intent
        assert set(intent.owners_before.values()) == {"helm"}

    @pytest.mark.parametrize("values", [(), ("logLevel=debug",)])
    def test_any_upgrade_after_a_tuning_sets_its_values_back(
        self, ground: Ground, helm3: Helm, values: tuple[str, ...]
    ) -> None:
        helm3.upgrade(ground)
        ground.tune()
        assert helm3.upgrade(ground, *values) == ""
        taken_by_helm(ground, "1")


@pytest.mark.e2e
@pytest.mark.timeout(BUILD_SECONDS + 300)
class TestHelm4:
    def test_fields_of_a_release_are_adopted(self, ground: Ground, helm4: Helm) -> None:
        assert helm4.upgrade(ground) == ""
        assert helm4.upgrade(ground, "logLevel=debug") == ""
        assert ground.owners("batch") == {"helm"}
        ground.tune()
        assert ground.owners("batch") == ground.owners("bounds") == {FIELD_MANAGER}

    @pytest.mark.parametrize("values", [(), ("logLevel=debug",), ("batch=4",)])
    def test_an_upgrade_after_a_tuning_fails_and_names_us_and_changes_nothing(
        self, ground: Ground, helm4: Helm, values: tuple[str, ...]
    ) -> None:
        assert helm4.upgrade(ground) == ""
        ground.tune()
        refused = helm4.upgrade(ground, *values)
        assert f'conflict with "{FIELD_MANAGER}"' in refused
        assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
        ground.stays(1.0, lambda: ground.status().state == "Stable")
        assert ground.condition("FieldConflict")[0] == "False"

    def test_the_tuned_values_in_the_chart_end_the_conflict(
        self, ground: Ground, helm4: Helm
    ) -> None:
        helm4.upgrade(ground)
        ground.tune()
        tuned = ("batch=16", "minReplicas=2", "maxReplicas=4", "logLevel=debug")
        assert helm4.upgrade(ground, *tuned) == ""
        assert ground.owners("batch") == {FIELD_MANAGER, "helm"}
        ground.stays(1.0, lambda: ground.status().state == "Stable")

    def test_after_the_tuning_is_deleted_an_upgrade_meets_no_owner(
        self, ground: Ground, helm4: Helm
    ) -> None:
        helm4.upgrade(ground)
        ground.tune()
        ground.delete()
        ground.until(lambda: not ground.owners("batch") and not ground.owners("bounds"), "released")
        assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
        assert helm4.upgrade(ground, "logLevel=debug") == ""
        assert (ground.batch(), ground.bounds()) == ("1", (1, 2))

    @pytest.mark.parametrize("option", ["--server-side=false", "--force-conflicts"])
    def test_an_upgrade_that_insists_takes_the_fields(
        self, ground: Ground, helm4: Helm, option: str
    ) -> None:
        helm4.upgrade(ground, options=(option,))
        ground.tune()
        assert helm4.upgrade(ground, options=(option,)) == ""
        taken_by_helm(ground, "1")
