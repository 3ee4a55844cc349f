"""What the told versions mean together: findings, figures and the result section.

It must not ask anybody. The rules of CUDA compatibility are the contract's, shared with the
operator. Trade-off: the software that is judged is torch where it is installed, else the CUDA run
time or the CUDA release that the image names; the evidence says which of them it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.contract.compatibility import (
    Driver,
    Judgement,
    Software,
    code_for,
    cuda_of_driver,
    judge,
)
from infertune_probes.contract.envelope import Finding, Measurement, measured, unmeasured
from infertune_probes.contract.release import numbers, series
from infertune_probes.contract.require_cuda import SWITCHED_OFF, VARIABLE, Malformed, holds
from infertune_probes.versions import codes

if TYPE_CHECKING:
    from infertune_probes.versions.witnesses import Sight, Told

_BY_KIND = {
    "native": (codes.STACK_NATIVE, "pass"),
    "minor-version": (codes.STACK_MINOR_VERSION, "warn"),
    "forward": (codes.STACK_FORWARD, "warn"),
    "none": (codes.STACK_UNSUPPORTED, "fail"),
    "unknown": (codes.STACK_UNKNOWN, "unknown"),
}
_NO_DEVICES = {"", "void", "none", "-1", "NoDevFiles"}


def findings_of(sight: Sight) -> list[Finding]:
    """Return everything that can be said about the told versions."""
    if sight.host_only:
        return _driver(sight)
    return [
        *_driver(sight),
        *_stack(sight),
        *_architectures(sight),
        *_cudnn(sight),
        *_requirement(sight),
        *_hidden(sight),
        *_launched(sight),
    ]


def driver_of(sight: Sight) -> Driver:
    """Return what the rules need to know of driver and devices."""
    brands = {str(d["brand"]) for d in sight.devices if d.get("brand")}
    found = {str(d["computeCapability"]) for d in sight.devices if d.get("computeCapability")}
    return Driver(
        version=sight.driver,
        cuda=sight.cuda,
        brand=next(iter(brands)) if len(brands) == 1 else None,
        capabilities=tuple(sorted(found, key=lambda text: numbers(text) or ())),
    )


def software_of(sight: Sight) -> Software:
    """Return what is to run here; torch knows best what it needs."""
    if sight.torch is None:
        cuda = _told(sight.libraries, "cudart") or sight.hints.get("CUDA_VERSION")
        return Software(cuda=cuda, compat=_stands_in(sight, cuda))
    cuda = _text(sight.torch.get("cuda"))
    return Software(
        cuda=cuda,
        torch=str(sight.torch["version"]),
        compat=_stands_in(sight, cuda),
        cpu_only=cuda is None and sight.torch.get("hip") is None,
    )


def _stands_in(sight: Sight, cuda: str | None) -> bool | None:
    """Return whether the libcuda that is loaded here knows a release, whatever the driver's does.

    The one of a cuda-compat package does; the driver's own speaks of the driver alone.
    """
    loaded, wanted = series(_told(sight.libraries, "cuda")), series(cuda)
    if loaded is not None and wanted is not None:
        return loaded >= wanted
    return True if "NV_CUDA_COMPAT_PACKAGE" in sight.hints else None


def judgement_of(sight: Sight) -> Judgement:
    """Return whether the software runs on the driver, by the shared rules."""
    if sight.host_only:
        return Judgement("unknown", "only the host was asked for, not the software of an image")
    if sight.torch is not None and sight.torch.get("hip") is not None:
        hip = sight.torch["hip"]
        return Judgement("unknown", f"torch is built for ROCm {hip}, which this probe cannot judge")
    return judge(software_of(sight), driver_of(sight))


def _told(all_told: tuple[Told, ...], name: str) -> str | None:
    return next((told.version for told in all_told if told.name == name), None)


def _driver(sight: Sight) -> list[Finding]:
    evidence = "; ".join(told.describe() for told in sight.drivers)
    if sight.hung is not None:
        return [codes.DRIVER_HUNG.failed(evidence)]
    versions = {numbers(told.version) for told in sight.drivers if told.version}
    mismatch = any("version mismatch" in (told.reason or "") for told in sight.drivers)
    if len(versions) > 1 or mismatch:
        return [codes.DRIVER_DISAGREES.failed(evidence)]
    if not versions:
        return [codes.DRIVER_UNKNOWN.unknown(evidence)]
    cuda = cuda_of_driver(driver_of(sight))
    return [codes.DRIVER_KNOWN.passed(f"{evidence}; it knows CUDA {cuda or 'of no known release'}")]


def _stack(sight: Sight) -> list[Finding]:
    judgement = judgement_of(sight)
    if judgement.kind == "cpu":
        # Without a device it is the right build; with one, the device stands idle.
        there = bool(sight.devices)
        verdict = codes.STACK_CPU_ONLY.failed if there else codes.STACK_CPU_ONLY.warned
        return [verdict(judgement.reason)]
    code, verdict_word = _BY_KIND[judgement.kind]
    evidence = judgement.reason
    if sight.torch is None:
        evidence += f" (torch: {sight.torch_reason})"
    found = [code.found(verdict_word, evidence, judgement.fix or code.fix)]  # type: ignore[arg-type]
    if judgement.kind == "native":
        found = [code.passed(evidence)]
    return found + _two_releases(sight)


def _two_releases(sight: Sight) -> list[Finding]:
    """Return that image and torch are of two CUDA major versions."""
    named = series(sight.hints.get("CUDA_VERSION"))
    built = series(software_of(sight).cuda) if sight.torch is not None else None
    if named is None or built is None or named[0] == built[0]:
        return []
    evidence = (
        f"CUDA_VERSION is {sight.hints['CUDA_VERSION']}, "
        f"torch is built with CUDA {built[0]}.{built[1]}"
    )
    return [codes.RELEASE_DISAGREES.warned(evidence)]


def _architectures(sight: Sight) -> list[Finding]:
    if sight.torch is None or sight.torch.get("cuda") is None:
        return []
    listed = sight.torch.get("architectures")
    names = tuple(str(name) for name in listed) if isinstance(listed, list) else ()
    return [_architecture(device, names) for device in sight.devices]


def _architecture(device: dict[str, object], names: tuple[str, ...]) -> Finding:
    who = f"device {device['index']} ({device.get('name') or 'no name'})"
    capability = device.get("computeCapability")
    if capability is None or not names:
        missing = "compute capability" if capability is None else "architecture list"
        return codes.ARCHITECTURE_UNKNOWN.unknown(f"{who}: the {missing} cannot be read")
    entry = code_for(names, str(capability))
    evidence = f"{who}: compute capability {capability}, torch has {' '.join(names)}"
    if entry is None:
        return codes.ARCHITECTURE_MISSING.failed(evidence)
    if entry.startswith("compute_"):
        return codes.ARCHITECTURE_PTX_ONLY.warned(evidence)
    return codes.ARCHITECTURE_SUPPORTED.passed(f"{evidence}; {entry} runs")


def _cudnn(sight: Sight) -> list[Finding]:
    torch = sight.torch or {}
    compiled, loaded = torch.get("cudnnCompiled"), torch.get("cudnnLoaded")
    wanted, found = numbers(_text(compiled)), numbers(_text(loaded))
    if wanted is None or found is None:
        return []
    evidence = f"compiled with cuDNN {compiled}, loaded {loaded}"
    if found[0] != wanted[0] or found[:2] < wanted[:2]:
        return [codes.CUDNN_TOO_OLD.failed(evidence)]
    return [codes.CUDNN_FITS.passed(evidence)]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _requirement(sight: Sight) -> list[Finding]:
    demanded = sight.hints.get(VARIABLE)
    if not demanded:
        return []
    driver = driver_of(sight)
    host = {
        "cuda": cuda_of_driver(driver),
        "driver": driver.version,
        "brand": driver.brand,
        "arch": driver.capabilities[0] if driver.capabilities else None,
    }
    short = demanded if len(demanded) <= 80 else demanded[:80] + "..."  # noqa: PLR2004  # one line
    try:
        met = holds(demanded, host)
    except Malformed as error:
        return [codes.REQUIREMENT_UNKNOWN.unknown(f"{VARIABLE} cannot be read: {error}")]
    evidence = (
        f"{VARIABLE}={short}; driver {driver.version}, CUDA {host['cuda']}, brand {driver.brand}"
    )
    if met is None:
        return [codes.REQUIREMENT_UNKNOWN.unknown(evidence)]
    if met:
        return [codes.REQUIREMENT_MET.passed(evidence)]
    off = sight.hints.get(SWITCHED_OFF, "").lower() in {"1", "true"}
    why = f"; {SWITCHED_OFF} let the container start all the same" if off else ""
    return [codes.REQUIREMENT_NOT_MET.failed(evidence + why)]


def _hidden(sight: Sight) -> list[Finding]:
    return [
        codes.DEVICES_HIDDEN.warned(f"{name}={sight.hints[name]!r}", f"unset {name}")
        for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
        if name in sight.hints and sight.hints[name].strip() in _NO_DEVICES
    ]


def _launched(sight: Sight) -> list[Finding]:
    launches = sight.launches
    if not launches.asked:
        return []
    found = [
        codes.KERNEL_LAUNCHED.passed(f"device {one['device']} ({one.get('name')}): right results")
        if one.get("ok")
        else codes.KERNEL_FAILED.failed(f"device {one['device']}: {one.get('reason')}")
        for one in launches.done
    ]
    if launches.hung:
        found.append(codes.KERNEL_HUNG.failed(f"after {len(found)} devices: {launches.reason}"))
    elif launches.reason is not None and launches.done:
        # The child died on the device after the last one that it told of.
        found.append(codes.KERNEL_FAILED.failed(f"after {len(found)} devices: {launches.reason}"))
    elif launches.reason is not None or not (found or launches.spared):
        why = launches.reason or "the child told of no device"
        found.append(codes.KERNEL_NOT_TRIED.unknown(why))
    if launches.spared:
        which = ", ".join(str(index) for index in launches.spared)
        why = f"device {which}: in use by others, and a context takes memory that they may need"
        found.append(codes.KERNEL_NOT_TRIED.unknown(why, "--launch all launches all the same"))
    return found


def measure(sight: Sight) -> list[Measurement]:
    """Return how long the first kernels took on each device, context and libraries included."""
    return [
        measured(f"gpu{one['device']}_first_kernels", "s", float(seconds), 1)
        if isinstance(seconds := one.get("seconds"), (int, float))
        else unmeasured(f"gpu{one['device']}_first_kernels", "s", str(one.get("reason")))
        for one in sight.launches.done
    ]


def result_section(sight: Sight) -> dict[str, object]:
    """Return the versions section of the envelope."""
    judgement = judgement_of(sight)
    return {
        "kind": "versions",
        "driverVersion": sight.driver,
        "cudaDriverVersion": driver_of(sight).cuda,
        "driverSources": [told.to_json() for told in sight.drivers],
        "devices": [
            {
                "index": device["index"],
                **{name: device.get(name) for name in ("uuid", "name", "brand")},
                "computeCapability": device.get("computeCapability"),
            }
            for device in sight.devices
        ],
        "libraries": [told.to_json() for told in sight.libraries],
        "torch": sight.torch,
        "torchReason": sight.torch_reason,
        "hints": dict(sight.hints),
        "compatibility": {
            "kind": judgement.kind,
            "reason": judgement.reason,
            "fix": judgement.fix,
        },
        "launches": None
        if not sight.launches.asked
        else [
            {
                "device": one["device"],
                "ok": bool(one.get("ok")),
                "seconds": one.get("seconds"),
                "reason": one.get("reason"),
            }
            for one in sight.launches.done
        ],
    }
