"""Two ways to multiply matrices behind one shape: numpy on the CPU, torch on a GPU.

It must not time or judge. Both use random data (zeros run 13-15 % too fast) from one seed and
return a few rows of the product for the check against float64. Trade-off: torch is imported only
when a GPU is asked for, so that a CPU node needs no gigabytes.
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import numpy as np

# Enough rows to catch a wrong tile, few enough that the float64 check costs little.
CHECKED_ROWS = 16


class Backend(Protocol):
    """Something that multiplies two square matrices of its own."""

    @property
    def name(self) -> str:
        """The library."""

    @property
    def device(self) -> str:
        """The device, as people call it."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The number types to measure."""

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices of that size and type."""

    def multiply(self) -> None:
        """Multiply them; finished when it returns."""

    def relative_error(self) -> float:
        """Return the largest error of some rows against float64, over the largest true value."""

    def prepare_copy(self, size_bytes: int) -> int:
        """Allocate a source and a target; return the bytes that one copy reads and writes."""

    def copy(self) -> None:
        """Copy the source to the target; finished when it returns."""


def largest_error(rows: Any, exact: Any) -> float:  # noqa: ANN401  # a module or a handle without types
    """Return max|rows - exact| / max|exact|; a NaN in the rows makes it NaN."""
    return float(np.max(np.abs(rows - exact)) / np.max(np.abs(exact)))


class NumpyBackend:
    """The CPU through numpy's BLAS; its threads are set before numpy is imported."""

    name = "numpy"
    device = "cpu"
    dtypes = ("float32",)

    def __init__(self, seed: int) -> None:
        """Seed the random data."""
        self._random = np.random.default_rng(seed)

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices."""
        self._left = self._random.standard_normal((size, size)).astype(dtype)
        self._right = self._random.standard_normal((size, size)).astype(dtype)
        self._product = np.empty_like(self._left)

    def multiply(self) -> None:
        """Multiply into a buffer that is already there."""
        np.matmul(self._left, self._right, out=self._product)

    def relative_error(self) -> float:
        """Compare the first rows with the product in float64."""
        left = self._left[:CHECKED_ROWS].astype(np.float64)
        exact = left @ self._right.astype(np.float64)
        return largest_error(self._product[:CHECKED_ROWS].astype(np.float64), exact)

    def prepare_copy(self, size_bytes: int) -> int:
        """Allocate two buffers and touch every page of both."""
        self._source = np.ones(size_bytes // 8, dtype=np.float64)
        self._target = np.zeros_like(self._source)
        return 2 * self._source.nbytes

    def copy(self) -> None:
        """Copy one buffer to the other."""
        np.copyto(self._target, self._source)


class TorchBackend:
    """The first CUDA device through torch."""

    name = "torch"
    dtypes = ("float32", "bfloat16")

    def __init__(self, torch: Any, seed: int) -> None:  # noqa: ANN401  # a module or a handle without types
        """Take the imported torch module and seed its random data."""
        self._torch = torch
        self._generator = torch.Generator(device="cuda").manual_seed(seed)
        self.device = str(torch.cuda.get_device_name(0))

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices on the device."""
        torch = self._torch
        kind = getattr(torch, dtype)

        def random() -> Any:  # noqa: ANN401  # a module or a handle without types
            whole = torch.randn(size, size, generator=self._generator, device="cuda")
            return whole.to(kind)

        self._left, self._right = random(), random()
        torch.cuda.synchronize()

    def multiply(self) -> None:
        """Multiply and wait for the device."""
        self._product = self._torch.matmul(self._left, self._right)
        self._torch.cuda.synchronize()

    def relative_error(self) -> float:
        """Compare the first rows with the product in float64 on the host."""
        left = self._left[:CHECKED_ROWS].double().cpu().numpy()
        exact = left @ self._right.double().cpu().numpy()
        return largest_error(self._product[:CHECKED_ROWS].double().cpu().numpy(), exact)

    def prepare_copy(self, size_bytes: int) -> int:
        """Allocate two buffers in device memory."""
        torch = self._torch
        self._source = torch.ones(size_bytes // 4, device="cuda")
        self._target = torch.empty_like(self._source)
        torch.cuda.synchronize()
        return 2 * (size_bytes // 4) * 4

    def copy(self) -> None:
        """Copy within device memory and wait."""
        self._target.copy_(self._source)
        self._torch.cuda.synchronize()


def choose(device: str, seed: int) -> Backend | None:
    """Return the backend for `auto`, `cpu` or `cuda`; None when `cuda` cannot be had."""
    if device != "cpu":
        with contextlib.suppress(ImportError):
            import torch  # optional, and slow to import

            if torch.cuda.is_available():
                return TorchBackend(torch, seed)
    return None if device == "cuda" else NumpyBackend(seed)
