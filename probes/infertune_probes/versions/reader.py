"""The child that really touches driver and libraries: `... versions.reader nvml|libraries|torch`.

Prints JSON objects, one a line, and exits; it must not judge. It may hang or crash, its parent has
the deadline and keeps the lines it had. Trade-off: every fact is read by itself, so that a missing
one costs only itself; `torch` imports torch and touches no device, `launch` does.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Newest first; the sonames under which the libraries are found by the dynamic loader.
_LIBRARIES = {
    "cuda": (("libcuda.so.1",), "cuDriverGetVersion"),
    "cudart": (
        ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"),
        "cudaRuntimeGetVersion",
    ),
    "nccl": (("libnccl.so.2",), "ncclGetVersion"),
    "cudnn": (("libcudnn.so.9", "libcudnn.so.8"), "cudnnGetVersion"),
}
# NVML's numbers of brands, as the container toolkit names them.
_BRANDS = {
    0: "unknown",
    1: "quadro",
    2: "tesla",
    3: "nvs",
    4: "grid",
    5: "geforce",
    6: "titan",
    7: "vapps",
    8: "vpc",
    9: "vcs",
    10: "vws",
    11: "cloudgaming",
    12: "quadrortx",
    13: "nvidiartx",
    14: "nvidia",
    15: "geforcertx",
    16: "titanrtx",
}
_SIDE = 64


def read_nvml(nvml: Any) -> dict[str, object]:  # noqa: ANN401  # a module without types
    """Return driver, CUDA release and devices as NVML tells them, or the error of its start."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"error": str(error)}
    try:
        count = nvml.nvmlDeviceGetCount()
        return {
            "driver": _or_none(nvml, lambda: _text(nvml.nvmlSystemGetDriverVersion())),
            "cuda": _or_none(nvml, lambda: cuda_text(nvml.nvmlSystemGetCudaDriverVersion_v2())),
            "devices": [_device(nvml, index) for index in range(count)],
        }
    except nvml.NVMLError as error:
        return {"error": str(error)}
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> dict[str, object]:  # noqa: ANN401  # a module without types
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return {"index": index, "error": str(error)}

    def capability() -> str:
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        return f"{major}.{minor}"

    return {
        "index": index,
        "uuid": _or_none(nvml, lambda: _text(nvml.nvmlDeviceGetUUID(handle))),
        "name": _or_none(nvml, lambda: _text(nvml.nvmlDeviceGetName(handle))),
        "brand": _or_none(nvml, lambda: _BRANDS.get(int(nvml.nvmlDeviceGetBrand(handle)))),
        "computeCapability": _or_none(nvml, capability),
        "processes": _or_none(nvml, lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle))),
        "memoryShare": _or_none(nvml, lambda: _memory_share(nvml, handle)),
    }


def _memory_share(nvml: Any, handle: Any) -> float:  # noqa: ANN401  # a module without types
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return float(memory.used) / float(memory.total)


def _or_none(nvml: Any, read: Callable[[], object]) -> object:  # noqa: ANN401  # a module without types
    try:
        return read()
    except (nvml.NVMLError, AttributeError):
        return None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def cuda_text(number: int) -> str:
    """Return "12.6" for 12060, the way CUDA writes its release as one number."""
    return f"{number // 1000}.{number % 1000 // 10}"


def nccl_text(number: int) -> str:
    """Return "2.27.5" for 22705, or for 2705 as NCCL wrote it before 2.9."""
    if number >= 10_000:  # noqa: PLR2004  # the older form has four digits
        return f"{number // 10_000}.{number % 10_000 // 100}.{number % 100}"
    return f"{number // 1000}.{number % 1000 // 100}.{number % 100}"


def cudnn_text(number: int) -> str:
    """Return "9.10.2" for 91002, or "8.9.2" for 8902 as cuDNN wrote it before version 9."""
    if number >= 10_000:  # noqa: PLR2004  # the older form has four digits
        return f"{number // 10_000}.{number % 10_000 // 100}.{number % 100}"
    return f"{number // 1000}.{number % 1000 // 100}.{number % 100}"


def read_libraries() -> dict[str, object]:
    """Return the release of each CUDA library that the dynamic loader finds, or why there is none.

    None of the four calls starts the driver or touches a device.
    """
    return {name: _library(*how, name) for name, how in _LIBRARIES.items()}


def _library(sonames: tuple[str, ...], function: str, name: str) -> dict[str, object]:
    for soname in sonames:
        try:
            library = ctypes.CDLL(soname)
        except OSError:
            continue
        try:
            number = _asked(library, function)
        except (AttributeError, OSError) as error:
            return {"version": None, "soname": soname, "reason": str(error)}
        texts = {"nccl": nccl_text, "cudnn": cudnn_text}
        return {"version": texts.get(name, cuda_text)(number), "soname": soname}
    return {"version": None, "reason": f"the loader finds no {' or '.join(sonames)}"}


def _asked(library: ctypes.CDLL, function: str) -> int:
    call = getattr(library, function)
    if function == "cudnnGetVersion":
        call.restype = ctypes.c_size_t
        return int(call())
    number = ctypes.c_int()
    status = call(ctypes.byref(number))
    if status != 0:
        msg = f"{function} returned {status}"
        raise OSError(msg)
    return number.value


def read_torch() -> dict[str, object]:
    """Return how the installed torch is built and what it loads, without touching a device."""
    try:
        import torch  # optional
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        return {
            "error": "torch is not installed" if missing else f"torch cannot be imported: {error}"
        }
    build = getattr(torch, "version", None)
    return {
        "version": str(torch.__version__),
        "git": _attribute(build, "git_version"),
        "cuda": _attribute(build, "cuda"),
        "hip": _attribute(build, "hip"),
        "architectures": _tried(lambda: _architectures(torch)) or [],
        "cudnnCompiled": _tried(lambda: ".".join(map(str, torch._C._cudnn.getCompileVersion()))),  # noqa: SLF001  # told nowhere else
        "cudnnLoaded": _tried(lambda: cudnn_text(int(torch.backends.cudnn.version()))),
        "nccl": _tried(lambda: ".".join(map(str, torch.cuda.nccl.version()))),
        "python": platform.python_version(),
    }


def _architectures(torch: Any) -> list[str]:  # noqa: ANN401  # a module without types
    # get_arch_list() is empty where no device is visible; the flags of the build are always there.
    flags = torch._C._cuda_getArchFlags()  # noqa: SLF001  # told nowhere else
    return str(flags or "").split()


def _attribute(module: object, name: str) -> str | None:
    value = getattr(module, name, None)
    return None if value is None else str(value)


def _tried(read: Callable[[], object]) -> object:
    """Return what is read; None where this build of torch does not have it or cannot load it."""
    try:
        return read()
    except (AttributeError, RuntimeError, TypeError, ValueError, OSError, ImportError):
        return None


def launch_all() -> None:
    """Launch kernels on every visible device and print one line for each, as it is done."""
    try:
        import torch  # optional
    except ImportError as error:
        _say({"error": str(error)})
        return
    if not torch.cuda.is_available():
        _say({"error": "torch sees no CUDA device"})
        return
    for index in range(torch.cuda.device_count()):
        _say({"device": index, **_launched(torch, index)})


def _launched(torch: Any, index: int) -> dict[str, object]:  # noqa: ANN401  # a module without types
    """Run two kernels whose results are whole numbers, one of them in cuBLAS."""
    began = time.perf_counter()
    try:
        properties = torch.cuda.get_device_properties(index)
        numbers = torch.arange(1000, device=f"cuda:{index}", dtype=torch.float32)
        total = float((numbers * 2 + 1).sum().item())
        ones = torch.ones(_SIDE, _SIDE, device=f"cuda:{index}")
        corner = float((ones @ ones)[0, 0].item())
        torch.cuda.synchronize(index)
    except RuntimeError as error:
        return {"ok": False, "reason": " ".join(str(error).split())[:240]}
    seconds = time.perf_counter() - began
    # 2 (0 + ... + 999) + 1000 and a row of 64 ones: both are exact in float32.
    right = (total, corner) == (1_000_000.0, float(_SIDE))
    return {
        "ok": right,
        "seconds": seconds,
        "name": str(properties.name),
        "computeCapability": f"{properties.major}.{properties.minor}",
        "reason": None if right else f"the sum is {total}, the product {corner}",
    }


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(witness: str, devices: str | None = None) -> None:
    """Print what the witness tells; kernels go to these devices alone where some are named."""
    if witness == "launch":
        if devices is not None:
            # Read by the CUDA driver when it starts, so before torch is imported.
            os.environ["CUDA_VISIBLE_DEVICES"] = devices
        launch_all()
    elif witness == "torch":
        _say(read_torch())
    elif witness == "libraries":
        _say(read_libraries())
    else:
        try:
            import pynvml  # from nvidia-ml-py; optional
        except ImportError:
            _say({"error": "pynvml (nvidia-ml-py) is not installed"})
        else:
            _say(read_nvml(pynvml))


if __name__ == "__main__":
    main(*sys.argv[1:])
