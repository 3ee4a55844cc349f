"""What `down` takes back is what `up` wrote down, and nothing of anybody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from devcluster import ledger

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.settings import Settings


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    made: list[list[str]] = []
    monkeypatch.setattr(ledger, "run", made.append)
    monkeypatch.setattr(ledger, "SYSCTLS", ())
    monkeypatch.setattr(ledger, "PATHS", ())
    return made


@pytest.mark.parametrize(
    ("before", "after", "unmounted"),
    [
        ([], ["/run/netns"], [["umount", "/run/netns"]]),
        (["/run/netns"], ["/run/netns"], []),
        ([], [], []),
    ],
    ids=["ours", "somebody-elses", "not-there"],
)
def test_the_folder_of_network_namespaces_is_unmounted_when_it_was_not_mounted_before(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[list[str]],
    before: list[str],
    after: list[str],
    unmounted: list[list[str]],
) -> None:
    monkeypatch.setattr(ledger, "_mounted", lambda: ["/", *before])
    ledger.open_ledger(settings, {})
    assert json.loads((settings.state / "ledger.json").read_text())["mounted"] == before
    monkeypatch.setattr(ledger, "_mounted", lambda: ["/", *after])
    assert ledger.close_ledger(settings) == []
    assert calls == unmounted


def test_links_to_our_logs_go_and_links_to_others_stay(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[list[str]]
) -> None:
    links = tmp_path / "containers"
    links.mkdir()
    (links / "ours.log").symlink_to(settings.state / "pod-logs" / "gone" / "0.log")
    (links / "theirs.log").symlink_to(tmp_path / "elsewhere" / "0.log")
    (links / "no-link.log").touch()
    monkeypatch.setattr(ledger, "LOG_LINKS", links)
    ledger.open_ledger(settings, {})
    assert ledger.close_ledger(settings) == []
    assert sorted(path.name for path in links.iterdir()) == ["no-link.log", "theirs.log"]
