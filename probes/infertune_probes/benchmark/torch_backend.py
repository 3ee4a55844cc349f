"""torch on a CUDA device, timed by its own events, and torch on the CPU.

It must not judge. On the GPU the L2 cache is flushed before each product and the flush is not
timed. Trade-off: int8 and fp8 go through torch's private entry points, the only ones that reach
the tensor cores for them; where they refuse, the type is left out with their reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infertune_probes.benchmark.backends import CHECKED_ROWS, Unsupported, largest_error
from infertune_probes.contract.host import memory_room_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    Module = Any
    Tensor = Any

_FLUSH_BYTES = 256 * 1024 * 1024
# The first compute capability with units for the type (CUDA programming guide).
_SINCE = {
    "fp32": (3, 0),
    "tf32": (8, 0),
    "fp16": (7, 0),
    "bf16": (8, 0),
    "int8": (7, 5),
    "fp8": (8, 9),
}
_ITEM_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}
# What torch calls them; tf32 is a way to multiply fp32.
_NAMES = {
    "fp32": "float32",
    "tf32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp8": "float8_e4m3fn",
}
_INT8_MOST = 8
_STEP = {"int8": 16, "fp8": 16}


class _TorchBackend:
    """What both torch backends share: random operands, and the check."""

    name = "torch"
    _left: Tensor
    _right: Tensor
    _product: Tensor

    def __init__(self, torch: Module, seed: int, where: str) -> None:
        self._torch = torch
        self._where = where
        self._generator = torch.Generator(device=where).manual_seed(seed)

    def _operands(self, size: int, dtype: str) -> tuple[Tensor, Tensor]:
        torch = self._torch

        def random() -> Tensor:
            if dtype == "int8":
                return torch.randint(
                    -_INT8_MOST,
                    _INT8_MOST,
                    (size, size),
                    dtype=torch.int8,
                    generator=self._generator,
                    device=self._where,
                )
            whole = torch.randn(size, size, generator=self._generator, device=self._where)
            return whole.to(getattr(torch, _NAMES[dtype]))

        return random(), random()

    def size_for(self, size: int, dtype: str) -> int:
        """Return the next multiple of what torch's entry points for int8 and fp8 take."""
        step = _STEP.get(dtype, 1)
        return -(-size // step) * step

    def relative_error(self) -> float:
        """Compare the first rows with the product in float64 on the host."""
        left = self._left[:CHECKED_ROWS].float().double().cpu().numpy()
        exact = left @ self._right.float().double().cpu().numpy()
        return largest_error(self._product[:CHECKED_ROWS].double().cpu().numpy(), exact)


class CpuTorchBackend(_TorchBackend):
    """The CPU through torch."""

    device = "cpu"
    dtypes = ("fp32", "bf16")

    def __init__(self, torch: Module, seed: int, threads: int) -> None:
        """Take as many threads as there are processors for us."""
        super().__init__(torch, seed, "cpu")
        torch.set_num_threads(threads)

    def room_bytes(self) -> int | None:
        """Return the memory that is free for us."""
        return memory_room_bytes()

    def needed_bytes(self, size: int, dtype: str) -> int:
        """Return the operands, the product, and the check in float64."""
        return (3 * _ITEM_BYTES[dtype] + 4 + 8) * size * size

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices."""
        self._left, self._right = self._operands(size, dtype)

    def multiply(self) -> None:
        """Multiply them."""
        self._product = self._torch.matmul(self._left, self._right)

    def streams(self, size_bytes: int) -> dict[str, tuple[int, Callable[[], float | None]]]:
        """Return copy and the fused triad."""
        torch = self._torch
        source, other = torch.ones(size_bytes // 4), torch.full((size_bytes // 4,), 2.0)
        target = torch.zeros(size_bytes // 4)
        whole = source.numel() * 4

        def copied() -> None:
            target.copy_(source)

        def triad() -> None:
            torch.add(source, other, alpha=3.0, out=target)

        return {"copy": (2 * whole, copied), "triad": (3 * whole, triad)}


class CudaBackend(_TorchBackend):
    """One CUDA device through torch, by its index."""

    def __init__(self, torch: Module, seed: int, index: int) -> None:
        """Take the device; its name is the driver's."""
        super().__init__(torch, seed, f"cuda:{index}")
        torch.cuda.set_device(index)
        self.device = str(torch.cuda.get_device_name(index))
        capability = tuple(torch.cuda.get_device_capability(index))
        self.dtypes = tuple(dtype for dtype, since in _SINCE.items() if capability >= since)
        self._flush = torch.empty(_FLUSH_BYTES, dtype=torch.int8, device=self._where)
        self._work: Callable[[], Tensor] | None = None

    def room_bytes(self) -> int | None:
        """Return the device memory that is free."""
        free, _ = self._torch.cuda.mem_get_info()
        return int(free)

    def needed_bytes(self, size: int, dtype: str) -> int:
        """Return operands, their float32 originals, and a product of up to 4 bytes a cell."""
        return (2 * _ITEM_BYTES[dtype] + 4 + 4) * size * size

    def prepare(self, size: int, dtype: str) -> None:
        """Allocate two random matrices on the device and try the product once."""
        torch = self._torch
        torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
        self._left, self._right = self._operands(size, dtype)
        self._work = self._work_of(dtype)
        try:
            self._product = self._work()
            torch.cuda.synchronize()
        except (RuntimeError, ValueError, AttributeError) as error:
            why = f"torch refuses: {(str(error) or type(error).__name__).splitlines()[0]}"
            raise Unsupported(why) from error

    def _work_of(self, dtype: str) -> Callable[[], Tensor]:
        torch, left, right = self._torch, self._left, self._right
        if dtype == "int8":
            return lambda: torch._int_mm(left, right)  # noqa: SLF001  # the only way to int8 units
        if dtype == "fp8":
            # The second operand has to be stored by columns.
            columns = right.t().contiguous().t()
            one = torch.ones((), device=self._where)
            return lambda: torch._scaled_mm(  # noqa: SLF001  # the only way to fp8 units
                left, columns, scale_a=one, scale_b=one, out_dtype=torch.bfloat16
            )
        return lambda: torch.matmul(left, right)

    def multiply(self) -> float:
        """Flush the cache, multiply, and return the device's own time."""
        self._flush.zero_()
        return self._timed(self._keep)

    def _keep(self) -> None:
        if self._work is not None:
            self._product = self._work()

    def _timed(self, work: Callable[[], object]) -> float:
        torch = self._torch
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def streams(self, size_bytes: int) -> dict[str, tuple[int, Callable[[], float | None]]]:
        """Return copy and triad in device memory, and both ways to the host and back."""
        torch, cells = self._torch, size_bytes // 4
        source, other = (torch.ones(cells, device=self._where) for _ in range(2))
        target = torch.empty_like(source)
        whole = 4 * cells

        def timed(work: Callable[[], object]) -> Callable[[], float]:
            return lambda: self._timed(work)

        def behind_a_flush(work: Callable[[], object]) -> Callable[[], float]:
            # On a device at rest the launch, some microseconds, would count as copying: 268 MB take
            # 60 us on an H200. Behind the flush the kernel is queued before its turn comes.
            def flushed() -> float:
                self._flush.zero_()
                return self._timed(work)

            return flushed

        found: dict[str, tuple[int, Callable[[], float | None]]] = {
            "copy": (2 * whole, behind_a_flush(lambda: target.copy_(source))),
            "triad": (
                3 * whole,
                behind_a_flush(lambda: torch.add(source, other, alpha=3.0, out=target)),
            ),
        }
        for kind in ("pinned", "pageable"):
            host = torch.ones(cells, pin_memory=kind == "pinned")
            found[f"to_device_{kind}"] = (whole, timed(_copying(target, host)))
            found[f"to_host_{kind}"] = (whole, timed(_copying(host, source)))
        return found

    def launch(self) -> Callable[[], float | None]:
        """Return the launch of one tiny kernel, waited for: the round trip of a call."""
        cell = self._torch.zeros(1, device=self._where)

        def launched() -> None:
            cell.add_(1.0)
            self._torch.cuda.synchronize()

        return launched


def _copying(target: Tensor, source: Tensor) -> Callable[[], object]:
    return lambda: target.copy_(source, non_blocking=True)
