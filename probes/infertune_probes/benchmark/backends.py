"""What every way to multiply matrices has in common, and which one is taken.

It must not time or judge. All use random data (zeros run 13-15 % too fast) from one seed and
return a few rows of the product for the check against float64. Trade-off: torch is imported only
when a GPU or torch is asked for, so that a CPU node needs no gigabytes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

# Enough rows to catch a wrong tile, few enough that the float64 check costs little.
CHECKED_ROWS = 16


class Unsupported(Exception):
    """This device or library cannot do that number type; the text says why."""


class Backend(Protocol):
    """Something that multiplies two square matrices of its own.

    What runs returns None when it is to be timed from outside, or the seconds that the device
    itself counted.
    """

    @property
    def name(self) -> str:
        """The library."""

    @property
    def device(self) -> str:
        """The device, as people call it."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The number types to measure."""

    def room_bytes(self) -> int | None:
        """Return the memory that may be used; None when it cannot be told."""

    def size_for(self, size: int, dtype: str) -> int:
        """Return the size itself, or the next one that the type can do."""

    def needed_bytes(self, size: int, dtype: str) -> int:
        """Return the most memory that a size takes, its check included."""

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices; raise `Unsupported` when the type cannot be had."""

    def multiply(self) -> float | None:
        """Multiply them; finished when it returns."""

    def relative_error(self) -> float:
        """Return the largest error of some rows against float64, over the largest true value."""

    def streams(self, size_bytes: int) -> dict[str, tuple[int, Callable[[], float | None]]]:
        """Return name -> (bytes moved, the move) of copies and the triad; nothing is moved yet."""


def largest_error(rows: Any, exact: Any) -> float:  # noqa: ANN401  # a module or a handle without types
    """Return max|rows - exact| / max|exact|; a NaN in the rows makes it NaN."""
    return float(np.max(np.abs(rows - exact)) / np.max(np.abs(exact)))


def choose(device: str, seed: int, threads: int) -> Backend | None:
    """Return the backend for `auto`, `cpu`, `torch-cpu` or `cuda`; None when it cannot be had."""
    from infertune_probes.benchmark.numpy_backend import NumpyBackend

    if device == "cpu":
        return NumpyBackend(seed, threads)
    with contextlib.suppress(ImportError):
        import torch  # optional, and slow to import

        from infertune_probes.benchmark.torch_backend import CpuTorchBackend, CudaBackend

        if device == "torch-cpu":
            return CpuTorchBackend(torch, seed, threads)
        if torch.cuda.is_available():
            return CudaBackend(torch, seed, 0)
    return NumpyBackend(seed, threads) if device == "auto" else None
