"""The bundle, run by Pythons that are not ours: 3.8 and 3.12, where the machine has them."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infertune_probes.contract.load import Envelope, parse_envelope

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def python(version: str) -> str:
    """Return an interpreter of a version that is not this project's; skip where there is none."""
    found = sorted(PYENV.glob(f"{version}.*/bin/python3"))
    path = str(found[-1]) if found else shutil.which(f"python{version}")
    if path is None:
        pytest.skip(f"there is no Python {version} on this machine")
    return path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same bundle as a folder and as one file, made as the init container makes it."""
    made = {kind: tmp_path_factory.mktemp("bundle") / f"infertune{kind}" for kind in ("", ".pyz")}
    for path in made.values():
        command = [sys.executable, "-m", "infertune_probes.bundle", "--output", str(path)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
    return {"folder": made[""], "file": made[".pyz"]}


def run(interpreter: str, bundle: Path, folder: Path, *arguments: str) -> tuple[int, Envelope]:
    output = folder / "envelope.json"
    done = subprocess.run(
        # -I would hide the environment; the image's own settings have to stay.
        [interpreter, str(bundle), *arguments, "--output", str(output)],
        env={"PATH": "/usr/bin:/bin", "INFERTUNE_IMAGE": "model:1", "PYTHONPATH": "/of/the/image"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert output.exists(), done.stderr
    return done.returncode, parse_envelope(output.read_bytes())


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("version", ["3.8", "3.12"])
@pytest.mark.parametrize(
    "case",
    [
        (("gpu",), {"NO_DEVICE", "GPU_UNKNOWN"}, 0),
        (("versions",), {"STACK_UNKNOWN"}, 0),
        (("profiler", "--entry", "model:run"), {"TORCH_MISSING"}, 2),
        (("memory", "--entry", "model:run", "--input", "model:sample"), {"TORCH_MISSING"}, 2),
    ],
    ids=["gpu", "versions", "profiler", "memory"],
)
def test_each_probe_speaks_for_the_image_that_runs_it(
    bundles: dict[str, Path],
    tmp_path: Path,
    kind: str,
    version: str,
    case: tuple[tuple[str, ...], set[str], int],
) -> None:
    """A machine with a GPU has other findings; what is measured there is told all the same."""
    probe, codes, exit_code = case
    code, envelope = run(python(version), bundles[kind], tmp_path, *probe)
    software = envelope.software
    assert software is not None
    assert software.source == "target"
    assert software.image == "model:1"
    assert software.python.startswith(version)
    if software.torch is None and not Path("/dev/nvidiactl").exists():
        assert codes & {finding.code for finding in envelope.findings}
        assert code == exit_code


def test_both_forms_hold_the_same_and_say_what_they_hold(bundles: dict[str, Path]) -> None:
    folder = bundles["folder"]
    in_folder = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(bundles["file"]) as archive:
        in_file = {name: archive.read(name) for name in archive.namelist()}
    assert in_file == in_folder
    told = json.loads(in_folder["bundle.json"])
    assert told["probes"] == ["gpu", "versions", "profiler", "memory"]
    assert told["pynvml"] is not None
    assert b"BSD" in in_folder["NOTICE"]


def test_a_name_that_is_no_probe_is_refused_with_the_names(bundles: dict[str, Path]) -> None:
    done = subprocess.run(
        [sys.executable, str(bundles["folder"]), "load"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "usage: python3 BUNDLE {gpu|versions|profiler|memory} [FLAGS]\n",
    )


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    command = ["-m", "infertune_probes.bundle", "--output", str(tmp_path / "taken" / "bundle")]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.startswith("no bundle: ")) == (2, True)


def test_the_probe_images_own_stack_says_that_it_is_the_fallback(tmp_path: Path) -> None:
    command = ["-m", "infertune_probes.profiler", "--entry", "no:model"]
    output = tmp_path / "envelope.json"
    subprocess.run(
        [sys.executable, *command, "--output", str(output)], check=False, timeout=60, cwd=tmp_path
    )
    software = parse_envelope(output.read_bytes()).software
    assert software is not None
    assert software.source == "probes"
