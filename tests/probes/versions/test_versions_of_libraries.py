"""What toolkit and libraries of an image tell, the libraries by small ones built here."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from infertune_probes.versions.reader import cuda_text, cudnn_text, nccl_text
from tests.probes.versions.staging import TORCH, result_of, run_versions, the_535_node

if TYPE_CHECKING:
    from pathlib import Path

# The four libraries as far as they tell their release: of CUDA 13.0, cuDNN 9.10.2, NCCL 2.27.5.
LIBRARIES = {
    "libcuda.so.1": "int cuDriverGetVersion(int *v) { *v = 13000; return 0; }",
    "libcudart.so.13": "int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }",
    "libcudnn.so.9": "unsigned long cudnnGetVersion(void) { return 91002; }",
    "libnccl.so.2": "int ncclGetVersion(int *v) { *v = 22705; return 3; }",
}


def test_the_toolkit_of_the_image_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "root/usr/local/cuda"
    folder.mkdir(parents=True)
    (folder / "version.json").write_text('{"cuda": {"version": "12.4.1"}}')
    nvcc = "echo 'Cuda compilation tools, release 12.4, V12.4.131'"
    told = {
        t.name: t.version for t in result_of(run_versions(tmp_path, tools={"nvcc": nvcc})).libraries
    }
    assert (told["nvcc"], told["toolkit"]) == ("12.4.131", "12.4.1")


@pytest.mark.parametrize("text", ["", "[]", '{"cuda": 3}', "{"])
def test_a_toolkit_file_that_says_nothing_is_a_reason(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "root/usr/local/cuda"
    folder.mkdir(parents=True)
    (folder / "version.json").write_text(text)
    (told,) = [t for t in result_of(run_versions(tmp_path)).libraries if t.name == "toolkit"]
    assert (told.version, told.reason) == (None, "/usr/local/cuda/version.json names no release")


def built_libraries(directory: Path) -> Path:
    folder = directory / "lib"
    folder.mkdir()
    for soname, source in LIBRARIES.items():
        (folder / "source.c").write_text(source)
        library = ("-shared", "-fPIC", "-o", str(folder / soname), str(folder / "source.c"))
        subprocess.run(["cc", *library], check=True)
    return folder


def test_the_loaded_libraries_tell_their_releases(tmp_path: Path) -> None:
    hints = {"LD_LIBRARY_PATH": str(built_libraries(tmp_path))}
    told = {t.name: t for t in result_of(run_versions(tmp_path, hints=hints)).libraries}
    versions = {name: told[name].version for name in ("cuda", "cudart", "cudnn", "nccl")}
    assert versions == {"cuda": "13.0", "cudart": "13.0", "cudnn": "9.10.2", "nccl": None}
    assert told["nccl"].reason == "ncclGetVersion returned 3"


def test_a_cuda_compat_that_is_loaded_stands_in_for_an_old_driver(tmp_path: Path) -> None:
    """NVML speaks of the driver, CUDA 12.2; the libcuda that is loaded is one of CUDA 13.0."""
    hints = {"LD_LIBRARY_PATH": str(built_libraries(tmp_path))}
    torch = {**TORCH, "version": "2.11.0+cu130", "cuda": "13.0"}
    ran = the_535_node(tmp_path, torch=torch, hints=hints)
    (found,) = [f for f in ran.envelope.findings if f.code.startswith("STACK_")]
    assert (found.code, found.verdict) == ("STACK_FORWARD", "warn")
    assert result_of(ran).cuda_driver_version == "12.2"


def test_releases_that_libraries_write_as_one_number() -> None:
    assert (cuda_text(12060), cuda_text(13000), cuda_text(11080)) == ("12.6", "13.0", "11.8")
    assert (cudnn_text(91002), cudnn_text(8902)) == ("9.10.2", "8.9.2")
    assert (nccl_text(22705), nccl_text(2708)) == ("2.27.5", "2.7.8")
