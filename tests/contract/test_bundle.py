"""What travels into a foreign image needs Python 3.8 and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from infertune_probes.bundle import contents
from infertune_probes.bundle.contents import PROBES, ROOT, CannotTravel, files
from infertune_probes.bundle.start import PROBES as STARTED


def vermin(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Return how vermin ended, which finds syntax and names that are newer than a version."""
    program = str(Path(sys.executable).with_name("vermin"))
    return subprocess.run(
        [program, "--target=3.8-", "--no-tips", "--violations", *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_every_travelling_file_runs_on_python_3_8() -> None:
    travelling = [ROOT / path for path in files() if path.suffix == ".py"]
    found = vermin(*travelling, ROOT / "bundle" / "start.py")
    assert found.returncode == 0, found.stdout
    assert len(travelling) > 40


def test_a_name_of_python_3_9_would_be_seen(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text('print("a.json".removesuffix(".json"))\n')
    found = vermin(newer)
    assert found.returncode == 1
    assert "'str.removesuffix' member requires !2, 3.9" in found.stdout


def test_the_operators_side_stays_at_home() -> None:
    travelling = {path.as_posix() for path in files()}
    assert "contract/emit.py" in travelling
    assert "workload/entry.py" in travelling
    assert not {"contract/load.py", "contract/strict.py", "contract/__main__.py"} & travelling
    assert STARTED == PROBES


def test_a_probe_that_needs_a_package_does_not_travel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "__init__.py").write_text("")
    for probe in PROBES:
        (tmp_path / probe).mkdir()
    (tmp_path / "gpu" / "__main__.py").write_text("def later():\n    import pydantic\n")
    monkeypatch.setattr(contents, "ROOT", tmp_path)
    with pytest.raises(CannotTravel, match=r"gpu/__main__\.py imports pydantic"):
        files()


def test_tables_of_facts_travel_with_their_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "__init__.py").write_text("")
    for probe in PROBES:
        (tmp_path / probe).mkdir()
    (tmp_path / "gpu" / "peaks.csv").write_text("T4,8.1\n")
    (tmp_path / "gpu" / "__main__.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pydantic\n"
    )
    monkeypatch.setattr(contents, "ROOT", tmp_path)
    assert [path.as_posix() for path in files()] == [
        "__init__.py",
        "gpu/__main__.py",
        "gpu/peaks.csv",
    ]
