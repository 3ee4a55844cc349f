"""In which order the benchmark gives work to a CUDA device, seen by a stand-in for torch."""

from types import SimpleNamespace
from typing import Any

import pytest

from infertune_probes.benchmark.torch_backend import CudaBackend


class Tensor:
    def __init__(self, told: list[str], name: str) -> None:
        self.told, self.name = told, name

    def zero_(self) -> None:
        self.told.append(f"zero {self.name}")

    def copy_(self, source: "Tensor", **_: object) -> None:
        self.told.append(f"copy {source.name} to {self.name}")


def torch_that_tells(told: list[str]) -> Any:
    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            told.append("record")

        def synchronize(self) -> None:
            told.append("wait")

        def elapsed_time(self, _: "Event") -> float:
            return 1.0

    def tensor(name: str) -> Any:
        return lambda *_, **__: Tensor(told, name)

    return SimpleNamespace(
        Generator=lambda **_: SimpleNamespace(manual_seed=lambda _: None),
        cuda=SimpleNamespace(
            Event=Event,
            set_device=lambda _: None,
            get_device_name=lambda _: "NVIDIA H200",
            get_device_capability=lambda _: (9, 0),
        ),
        int8="int8",
        empty=tensor("flush"),
        ones=tensor("source"),
        empty_like=tensor("target"),
        add=lambda *_, **__: told.append("triad"),
    )


@pytest.mark.parametrize(("name", "work"), [("copy", "copy source to target"), ("triad", "triad")])
def test_the_launch_of_a_copy_is_hidden_behind_the_flush(name: str, work: str) -> None:
    told: list[str] = []
    _, move = CudaBackend(torch_that_tells(told), 1, 0).streams(1 << 20)[name]
    assert move() == pytest.approx(1e-3)
    assert told == ["zero flush", "record", work, "record", "wait"]
