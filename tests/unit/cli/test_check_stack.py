"""`infertune check` about software: the answer, what it rests on, and a status for scripts."""

import json
from pathlib import Path

import pytest

from infertune.cli import main
from tests.adapters.registries import our_registry, push

PYTORCH = "pytorch/pytorch:2.7.0-cuda12.6-cudnn9-runtime"
NODE = {
    "nvidia.com/cuda.driver.major": "535",
    "nvidia.com/cuda.driver.minor": "98",
    "nvidia.com/gpu.product": "NVIDIA-GeForce-RTX-3090",
}


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    """A kubectl that knows node gpu-1 by its labels, and gpu-2 by the probe of a tuning."""
    facts = {"version": "580.65.06", "cuda": "13.0"}
    probe = {"probe": "versions", "node": "gpu-2", "driver": facts}
    tunings = {"items": [{}, {"status": {"probes": [probe]}}]}
    script = tmp_path / "kubectl"
    script.write_text(f"""#!/bin/sh
case "$*" in
  *"get node gpu-1 "*) echo '{json.dumps({"metadata": {"labels": NODE}})}' ;;
  *"get node absent "*) echo 'nodes "absent" not found' >&2; exit 1 ;;
  *"get node "*) echo '{json.dumps({"metadata": {"labels": {"a": "b"}}})}' ;;
  *"get inferencetunings"*) echo '{json.dumps(tunings)}' ;;
esac
""")
    script.chmod(0o755)
    return script


def ask(*words: str) -> int:
    return main(["check", *words])


def test_torch_on_a_driver_that_is_too_old(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--torch", "2.15.0", "--driver", "550.54") == 1
    assert capsys.readouterr().out == (
        "torch 2.15.0 with CUDA 13.2: does not run\n"
        "  software  torch 2.15.0, CUDA 13.2, cuDNN 9.26.0.51, NCCL 2.30.7; from the command line\n"
        "  driver    550.54 (CUDA 12.4); from --driver\n"
        "  why       driver 550.54 is too old for CUDA 13.x, which needs 580 or newer, and "
        "cuda-compat-13-2 does not support it\n"
        "  fix       install driver 580 or newer, or use an image built with CUDA 12.x\n"
    )


def test_a_driver_alone_lists_the_newest_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--driver", "550.54") == 0
    assert capsys.readouterr().out.splitlines() == [
        "driver    550.54 (CUDA 12.4); from --driver",
        (
            "minor-version compatible  torch 2.10.0: CUDA 12.8, cuDNN 9.10.2.21, NCCL 2.27.5, "
            "Python >=3.10"
        ),
        (
            "native                    torch 2.6.0: CUDA 12.4, cuDNN 9.1.0.70, NCCL 2.21.5, "
            "Python >=3.9"
        ),
    ]
    assert ask("--driver", "550.54", "--json") == 0
    newest = json.loads(capsys.readouterr().out)["newest"]
    assert [(one["torch"], one["kind"]) for one in newest] == [
        ("2.10.0", "minor-version"),
        ("2.6.0", "native"),
    ]
    assert ask("--driver", "440.33") == 1
    assert "begin at driver 450.80.02" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "first"),
    [
        (("--image", PYTORCH), 0, f"{PYTORCH}: runs: minor-version compatible"),
        (("--image", "team/server:7"), 3, "team/server:7: unknown"),
        (("--image", "team/server:7", "--cuda", "13.0"), 3, "team/server:7: unknown"),
        (("--image", "team/server:7", "--torch", "2.5.1"), 0, "team/server:7: runs: minor-version"),
        (
            ("--image", "nvidia/cuda:13.0.1-base-ubi9", "--brand", "geforce"),
            1,
            "nvidia/cuda:13.0.1-base-ubi9: does not run",
        ),
        (
            ("--image", "nvidia/cuda:13.0.1-base-ubi9", "--brand", "Tesla"),
            0,
            "nvidia/cuda:13.0.1-base-ubi9: runs: by the image's cuda-compat package",
        ),
        (("--cuda", "12.1"), 0, "CUDA 12.1: runs: native"),
        (("--torch", "2.7.0+cpu"), 0, "torch 2.7.0+cpu: runs, without the GPU"),
        (
            ("--cuda", "12.1", "--compute-capability", "3.5"),
            1,
            "CUDA 12.1: does not run",
        ),
    ],
)
def test_the_status_says_yes_no_or_nobody_knows(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, first: str
) -> None:
    assert ask(*words, "--driver", "535.98", "--offline") == status
    assert capsys.readouterr().out.splitlines()[0].startswith(first)


def test_the_config_in_the_registry_answers_before_anything_is_pulled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = {"Env": ["CUDA_VERSION=13.0.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.0"]}
    login = {"auths": {}}
    with our_registry() as server:
        push(server.host, "r", "1", {"amd64": config, "arm64": {}})
        server.behaviour.guard = "token"
        image = ("--image", f"{server.host}/r:1", "--driver", "550.54", "--json")
        file = tmp_path / "config.json"
        file.write_text(json.dumps(login))
        assert ask(*image, "--docker-config", str(file)) == 3
        unread = json.loads(capsys.readouterr().out)
        login["auths"][server.host] = {"username": "reader", "password": "s3cret"}
        file.write_text(json.dumps(login))
        assert ask(*image, "--docker-config", str(file)) == 1
    assert unread["software"]["from"] is None
    assert "token service answers 401" in unread["software"]["notRead"]
    found = json.loads(capsys.readouterr().out)
    assert (found["runs"], found["kind"], found["software"]["from"]) == (
        False,
        "none",
        "its config",
    )
    assert "the container runtime refuses to start it" in found["reason"]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("127.0.0.1:1/none:1", "not known (127.0.0.1:1 cannot be asked: no connection)"),
        (
            "127.0.0.1:1/nvidia/cuda:12.4.1-base-ubi9",
            "CUDA 12.4.1; from its tag (127.0.0.1:1 cannot be asked: no connection)",
        ),
    ],
)
def test_a_registry_that_cannot_be_asked_is_told_beside_what_is_known(
    capsys: pytest.CaptureFixture[str], image: str, words: str
) -> None:
    ask("--image", image, "--driver", "535.98")
    assert f"  software  {words}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("node", "status", "driver"),
    [
        ("gpu-1", 0, "535.98 (CUDA 12.2) brand geforce; from labels of node gpu-1"),
        ("gpu-2", 0, "580.65.06 (CUDA 13.0); from the last probe of versions on node gpu-2"),
        ("cpu-1", 3, "not known: node cpu-1 has no labels of a driver and no probe of versions"),
    ],
)
def test_a_node_is_known_by_its_labels_or_its_last_probe(
    kubectl: Path, capsys: pytest.CaptureFixture[str], node: str, status: int, driver: str
) -> None:
    words = ("--image", PYTORCH, "--offline", "--kubectl", str(kubectl))
    assert ask(*words, "--node", node) == status
    assert f"  driver    {driver}" in capsys.readouterr().out.splitlines()
    assert ask("--node", node, "--kubectl", str(kubectl)) == status


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "nothing to check: give FILE"),
        (("--torch", "2.7.0"), "which driver? give --driver VERSION or --node NAME"),
        (("--driver", "nouveau"), "--driver nouveau: no version; write it as 550.54.15"),
        (("--image", "A B", "--driver", "550"), "--image A B: no image reference"),
        (("--driver", "550", "tuning.yaml"), "check either FILEs or software"),
        (
            ("--driver", "550", "--compute-capability", "x"),
            "--compute-capability x: write it as 8.9",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_names_the_fix(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    assert ask(*words) == 2
    assert problem in capsys.readouterr().err


def test_a_broken_docker_config_and_an_absent_node_are_told(
    tmp_path: Path, kubectl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "config.json"
    broken.write_text("{")
    image = ("--image", PYTORCH, "--driver", "550", "--docker-config", str(broken))
    assert ask(*image) == 2
    assert "no docker config" in capsys.readouterr().err
    assert ask("--node", "absent", "--kubectl", str(kubectl)) == 1
    assert 'nodes "absent" not found' in capsys.readouterr().err
