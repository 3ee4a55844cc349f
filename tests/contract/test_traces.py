"""The repository speaks of the project alone: no machine, no package index, no secret."""

import re
from pathlib import Path

import pytest

from tests.contract.paths import ROOT, tracked_files

# Written in pieces, so that this file does not find itself.
INDEX_HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "proxy.golang" + ".org", "npmjs" + ".org")
MACHINE_PATH = re.compile(r"(?<![\w.$}-])/(?:root|home|work|Users)/[A-Za-z0-9._-]+")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def texts() -> dict[str, str]:
    """Return every tracked text file."""
    found = {}
    for path in tracked_files():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_package_index() -> None:
    assert {
        name: host for name, text in texts().items() for host in INDEX_HOSTS if host in text
    } == {}


def test_no_file_holds_a_path_of_one_machine() -> None:
    assert {
        name: match.group()
        for name, text in texts().items()
        if (match := MACHINE_PATH.search(text))
    } == {}


def test_no_file_holds_a_private_key() -> None:
    assert [name for name, text in texts().items() if PRIVATE_KEY.search(text)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=[path.stem for path in LOCKS])
def test_a_lock_pins_and_hashes_everything_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=", ""), re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    unpinned = [e.split()[0] for e in entries if "==" not in e or "--hash=sha256:" not in e]
    assert unpinned == []


def test_there_is_a_lock_for_each_thing_that_is_installed() -> None:
    names = {path.name for path in LOCKS}
    assert names >= {"dev.txt", "operator.txt", "probes.txt", "demo-server.txt", "uv.txt"}
