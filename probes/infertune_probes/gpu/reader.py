"""The child that really touches a driver: `python -m infertune_probes.gpu.reader WITNESS`.

WITNESS is `nvml` (facts once), `samples INTERVAL COUNT` (a window), `torch` or `tensorflow`. It
prints JSON lines and must not judge. It may hang or die, so every NVML call is announced before it
is made: the last announcement names the culprit. A field that NVML will not tell is left out and
its reason kept, never zero. Trade-off: a line per call costs microseconds and a pipe's patience.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from infertune_probes.gpu.nvml_fields import (
    COUNTERS,
    FACTS,
    SAMPLE,
    event_reasons,
    processes,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infertune_probes.gpu.nvml_fields import Handle, Nvml, Reader

# The device is gone, or only comes back after a reset: every further call would say the same.
_LOST = (15, 16)
_TIMESTAMP_PER_SECOND = 1_000_000


def say(line: Mapping[str, object]) -> None:
    """Print one line at once; the next call may be the last."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Announced:
    """The NVML module, whose every call is announced with the device it is about."""

    def __init__(self, nvml: Nvml) -> None:
        """Wrap the module; `device` is set by whoever walks over the devices."""
        self.device: int | None = None
        self._nvml = nvml

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the module holds
        """Return the module's member; a function announces itself."""
        member = getattr(self._nvml, name)
        if not name.startswith("nvml") or not callable(member):
            return member

        def announced(*arguments: object) -> object:
            say({"calling": name, "device": self.device})
            return member(*arguments)

        return announced


def read_nvml(nvml: Announced) -> None:
    """Say driver, CUDA version, and the facts of every device."""
    system: dict[str, object] = {}
    readers: tuple[tuple[str, Callable[[], str]], ...] = (
        ("driver", lambda: text(nvml.nvmlSystemGetDriverVersion())),
        ("cuda", lambda: _cuda(nvml.nvmlSystemGetCudaDriverVersion_v2())),
        ("nvml", lambda: text(nvml.nvmlSystemGetNVMLVersion())),
    )
    for name, read in readers:
        try:
            system[name] = read()
        except (nvml.NVMLError, AttributeError):
            system[name] = None
    count = int(nvml.nvmlDeviceGetCount())
    say({"system": system, "count": count})
    for index in range(count):
        nvml.device = index
        say({"facts": _facts(nvml, index)})


def _facts(nvml: Announced, index: int) -> dict[str, object]:
    values: dict[str, object] = {"index": index}
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return {"index": index, "error": str(error)}
    unread: dict[str, str] = {}
    for name, read in FACTS.items():
        value, reason, lost = _ask(nvml, handle, read)
        if lost:
            values["error"] = reason
            break
        if reason is not None:
            unread[name] = reason
            continue
        group, _, field = name.rpartition(".")
        place: Any = values.setdefault(group, {}) if group else values
        place[field] = value
    values["unread"] = unread
    return values


def _ask(nvml: Announced, handle: Handle, read: Reader) -> tuple[object, str | None, bool]:
    """Return the value, the reason why there is none, and whether the device is lost."""
    try:
        return read(nvml, handle), None, False
    except nvml.NVMLError as error:
        return None, str(error), getattr(error, "value", None) in _LOST
    except AttributeError:
        return None, "this nvidia-ml-py does not know the call", False
    except UnicodeDecodeError:
        return None, "NVML gave bytes that are no text", False


def sample_nvml(nvml: Announced, interval_seconds: float, count: int) -> None:
    """Say one line per tick with every device; `count` 0 means for ever."""
    handles: dict[int, Handle] = {}
    for index in range(int(nvml.nvmlDeviceGetCount())):
        nvml.device = index
        try:
            handles[index] = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError:
            continue
    began = time.monotonic()
    since = int((time.time() - interval_seconds) * _TIMESTAMP_PER_SECOND)
    tick = 0
    while count == 0 or tick < count:
        time.sleep(max(0.0, began + tick * interval_seconds - time.monotonic()))
        now = int(time.time() * _TIMESTAMP_PER_SECOND)
        devices = [_sample(nvml, index, handle, since) for index, handle in handles.items()]
        at = round(time.monotonic() - began, 4)
        say({"sample": {"atSeconds": at, "devices": devices}})
        since = now
        tick += 1


def _sample(nvml: Announced, index: int, handle: Handle, since: int) -> dict[str, object]:
    nvml.device = index
    sample: dict[str, object] = {"index": index, "values": {}, "counters": {}}
    for part, table in (("values", SAMPLE), ("counters", COUNTERS)):
        for name, read in table.items():
            value, reason, lost = _ask(nvml, handle, read)
            if lost:
                return {"index": index, "error": reason}
            if reason is None:
                sample[part][name] = value  # type: ignore[index]
    for name, read in (("eventReasons", event_reasons), ("users", processes)):
        sample[name], _, _ = _ask(nvml, handle, read)
    sample["use"] = _use(nvml, handle, since)
    return sample


def _use(nvml: Announced, handle: Handle, since: int) -> list[dict[str, object]]:
    """Return the use per process since the last look; none when NVML does not tell."""
    try:
        samples = nvml.nvmlDeviceGetProcessUtilization(handle, since)
    except (nvml.NVMLError, AttributeError):
        return []
    return [
        {
            "pid": int(each.pid),
            "smPercent": int(each.smUtil),
            "memoryControllerPercent": int(each.memUtil),
            "encoderPercent": int(each.encUtil),
            "decoderPercent": int(each.decUtil),
        }
        for each in samples
        # NVML fills slots that it has no sample for with zeros and time stamp 0.
        if int(each.timeStamp) > since
    ]


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def read_torch() -> dict[str, object]:
    """Return what torch sees, and what its build and the driver say about why."""
    if importlib.util.find_spec("torch") is None:
        return {"error": "not installed"}
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        return {"error": f"cannot be imported: {error}"}
    seen: dict[str, object] = {
        "version": str(torch.__version__),
        "cudaOfBuild": torch.version.cuda or getattr(torch.version, "hip", None),
        "devices": [],
    }
    try:
        if torch.cuda.is_available():
            names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
            seen["devices"] = names
        elif seen["cudaOfBuild"] is not None:
            # `is_available` swallows the driver's words; a real start says them.
            torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        seen["words"] = str(error).strip().splitlines()[0]
    return seen


def read_tensorflow() -> dict[str, object]:
    """Return what TensorFlow sees, when it is installed."""
    if importlib.util.find_spec("tensorflow") is None:
        return {"error": "not installed"}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        tensorflow = importlib.import_module("tensorflow")
    except (ImportError, OSError) as error:
        return {"error": f"cannot be imported: {error}"}
    found = tensorflow.config.list_physical_devices("GPU")
    return {
        "version": str(tensorflow.__version__),
        "cudaOfBuild": tensorflow.sysconfig.get_build_info().get("cuda_version"),
        "devices": [str(device.name) for device in found],
    }


def with_nvml(work: Callable[[Announced], None]) -> None:
    """Start NVML, do the work, and say how it ended."""
    if importlib.util.find_spec("pynvml") is None:
        say({"error": "pynvml (nvidia-ml-py) is not installed"})
        return
    nvml = Announced(importlib.import_module("pynvml"))
    try:
        nvml.nvmlInit()
        work(nvml)
        nvml.device = None
        nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        say({"error": str(error)})
    else:
        say({"done": True})


def main(words: list[str]) -> None:
    """Be the witness that the first word names."""
    witness = words[0]
    if witness == "torch":
        say(read_torch())
    elif witness == "tensorflow":
        say(read_tensorflow())
    elif witness == "samples":
        interval, count = float(words[1]), int(words[2])
        with_nvml(lambda nvml: sample_nvml(nvml, interval, count))
    else:
        with_nvml(read_nvml)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BrokenPipeError:
        # Whoever listened has gone; there is nobody left to tell.
        os._exit(0)
