"""The CPU through numpy: BLAS for the product, threads over slices for the memory.

It must not time or judge. Its BLAS threads are set before numpy is imported. Trade-off: numpy has
no fused triad, so the triad here is two passes, and the bytes counted are those of both.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from infertune_probes.benchmark.backends import CHECKED_ROWS, largest_error
from infertune_probes.contract.host import memory_room_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

# The two matrices, the product, one float64 original, and the float64 of the check.
_BYTES_PER_CELL = 3 * 4 + 8 + 8
_SCALE = 3.0
_NAMES = {"fp32": np.float32}


class NumpyBackend:
    """The CPU through numpy's BLAS."""

    name = "numpy"
    device = "cpu"
    dtypes = ("fp32",)

    def __init__(self, seed: int, threads: int) -> None:
        """Seed the random data and keep as many threads as there are processors for us."""
        self._random = np.random.default_rng(seed)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def room_bytes(self) -> int | None:
        """Return the memory that is free for us."""
        return memory_room_bytes()

    def size_for(self, size: int, dtype: str) -> int:  # noqa: ARG002  # one type only
        """Return the size: BLAS takes any."""
        return size

    def needed_bytes(self, size: int, dtype: str) -> int:  # noqa: ARG002  # one type only
        """Return what a size takes at its peak."""
        return _BYTES_PER_CELL * size * size

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices."""
        self._left = self._random.standard_normal((size, size)).astype(_NAMES[dtype])
        self._right = self._random.standard_normal((size, size)).astype(_NAMES[dtype])
        self._product = np.empty_like(self._left)

    def multiply(self) -> None:
        """Multiply into a buffer that is already there."""
        np.matmul(self._left, self._right, out=self._product)

    def relative_error(self) -> float:
        """Compare the first rows with the product in float64."""
        left = self._left[:CHECKED_ROWS].astype(np.float64)
        exact = left @ self._right.astype(np.float64)
        return largest_error(self._product[:CHECKED_ROWS].astype(np.float64), exact)

    def streams(self, size_bytes: int) -> dict[str, tuple[int, Callable[[], float | None]]]:
        """Return copy and triad over buffers whose pages have all been touched."""
        cells = size_bytes // 8
        source, other = np.ones(cells), np.full(cells, 2.0)
        target = np.zeros(cells)
        bounds = np.linspace(0, cells, self._threads + 1).astype(int)
        slices = [slice(bounds[n], bounds[n + 1]) for n in range(self._threads)]

        def copied(part: slice) -> None:
            np.copyto(target[part], source[part])

        def triad(part: slice) -> None:
            np.multiply(other[part], _SCALE, out=target[part])
            np.add(target[part], source[part], out=target[part])

        def on_all(move: Callable[[slice], None]) -> Callable[[], None]:
            def moved() -> None:
                # numpy lets go of the interpreter's lock while it computes.
                for _ in self._pool.map(move, slices):
                    pass

            return moved

        return {
            "copy": (2 * source.nbytes, on_all(copied)),
            "triad": (5 * source.nbytes, on_all(triad)),
        }
