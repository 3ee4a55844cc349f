"""Does this software run on that driver? The one set of rules, for probe, command and operator.

Emit side: standard library only, Python 3.8, pure. It must not know where a fact was read: a probe
on the node, labels of a node, an image's config, a tag, or a person's word all end here.

Kinds: `native` (the driver is as new as the CUDA release), `minor-version` (an older driver of the
same major version: it runs, but code that is compiled at run time from PTX may not), `forward` (the
image's cuda-compat package stands in for the driver's CUDA part, on data-centre GPUs), `cpu` (the
software does not use the GPU at all), `none`, `unknown`. Trade-off: unknown is said wherever a fact
that decides is missing, and nobody may reject by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from infertune_probes.contract.cuda_facts import (
    CONSUMER_BRANDS,
    FIRST_TOOLKIT,
    FORWARD_BRANCHES,
    MINOR_VERSION_FLOOR,
    OLDEST_CAPABILITY,
    TOOLKITS,
    WHEELS,
    Wheel,
)
from infertune_probes.contract.release import numbers, reaches, series
from infertune_probes.contract.require_cuda import Malformed, holds

Kind = Literal["native", "minor-version", "forward", "cpu", "none", "unknown"]


@dataclass(frozen=True)
class Software:
    """What an image or an environment is built for; None is not known.

    `compat`: whether it carries the cuda-compat package of its CUDA release. `requires`: its
    NVIDIA_REQUIRE_CUDA. `cpu_only`: it was built without CUDA.
    """

    cuda: str | None = None
    torch: str | None = None
    cudnn: str | None = None
    nccl: str | None = None
    compat: bool | None = None
    requires: str | None = None
    cpu_only: bool = False

    @property
    def name(self) -> str:
        """What is judged, in a few words."""
        parts = [f"torch {self.torch}"] if self.torch else []
        parts += [f"CUDA {self.cuda}"] if self.cuda else []
        return " with ".join(parts) or "software of unknown CUDA release"


@dataclass(frozen=True)
class Driver:
    """What is known of a node's driver and GPUs; None is not known.

    `cuda` is the newest CUDA release that the driver names itself; without it the table of
    toolkits answers. `brand` is NVML's word in lower case, `capabilities` those of all GPUs.
    """

    version: str | None = None
    cuda: str | None = None
    brand: str | None = None
    capabilities: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Judgement:
    """The answer: its kind, why, and what to do where it does not run."""

    kind: Kind
    reason: str
    fix: str = ""

    @property
    def runs(self) -> bool | None:
        """Whether it runs; None: nobody knows."""
        if self.kind == "unknown":
            return None
        return self.kind != "none"


def wheel_of(torch: str | None) -> Wheel | None:
    """Return the default wheel of a torch release, or of another patch release of its minor."""
    wanted = series(torch)
    return next((wheel for wheel in WHEELS if series(wheel.torch) == wanted), None)


def cuda_of_driver(driver: Driver) -> str | None:
    """Return the newest CUDA release that a driver is native to, as far as it is known."""
    if driver.cuda is not None:
        return driver.cuda
    if numbers(driver.version) is None:
        return None
    version = str(driver.version)
    return next((cuda for cuda, carried in TOOLKITS if reaches(version, carried)), None)


def completed(software: Software) -> Software:
    """Return the software with what the table of torch wheels says of facts that are missing.

    A local version ("2.7.0+cu118", "2.7.0+cpu") overrides the table, which is of default wheels.
    """
    local = (software.torch or "").partition("+")[2]
    if local == "cpu":
        return replace(software, cpu_only=True)
    if software.cuda is not None or software.torch is None:
        return software
    if local.startswith("cu") and local[2:].isdigit() and len(local) > 4:  # noqa: PLR2004  # cu126
        return replace(software, cuda=f"{local[2:-1]}.{local[-1]}")
    wheel = wheel_of(software.torch)
    if wheel is None or local:
        return software
    if numbers(wheel.torch) != numbers(software.torch):
        # Another patch release of the same minor keeps its CUDA, not each library.
        return replace(software, cuda=wheel.cuda)
    cudnn, nccl = software.cudnn or wheel.cudnn, software.nccl or wheel.nccl
    return replace(software, cuda=wheel.cuda, cudnn=cudnn, nccl=nccl)


def judge(software: Software, driver: Driver) -> Judgement:
    """Return whether the software runs on the driver, and how.

    The first rule that decides is the answer: what the container runtime refuses, what the GPU is
    too old or too new for, then the driver itself.
    """
    whole = completed(software)
    if whole.cpu_only:
        return Judgement("cpu", f"{whole.name} is built without CUDA: it runs, without the GPU")
    release = series(whole.cuda)
    if release is None:
        return Judgement("unknown", f"nothing says which CUDA release {_what(whole)} is built for")
    if numbers(driver.version) is None:
        return Judgement("unknown", "the driver of the node is not known")
    return (
        _by_requirement(whole, driver)
        or _by_capability(whole, release, driver)
        or _by_driver(whole, release, driver)
    )


def _what(software: Software) -> str:
    return f"torch {software.torch}" if software.torch else "the image"


def _by_requirement(software: Software, driver: Driver) -> Judgement | None:
    """Return what the container runtime says before the container starts; None: it lets it pass."""
    if not software.requires:
        return None
    host = {
        "cuda": cuda_of_driver(driver),
        "driver": driver.version,
        "brand": driver.brand,
        "arch": min(driver.capabilities, key=lambda c: numbers(c) or (), default=None),
    }
    try:
        met = holds(software.requires, host)
    except Malformed as error:
        return Judgement("unknown", f"NVIDIA_REQUIRE_CUDA cannot be read: {error}")
    if met is False:
        reason = (
            f"the image's NVIDIA_REQUIRE_CUDA does not admit driver {driver.version}"
            f"{f' with a GPU of brand {driver.brand}' if driver.brand else ''}: the container "
            "runtime refuses to start it"
        )
        return Judgement("none", reason, _newer_driver(software))
    return None


def _by_capability(
    software: Software, release: tuple[int, int], driver: Driver
) -> Judgement | None:
    for capability in driver.capabilities:
        found = numbers(capability)
        oldest = numbers(OLDEST_CAPABILITY.get(release[0]))
        if found is None or oldest is None:
            continue
        if found < oldest:
            reason = (
                f"CUDA {release[0]} has no code for compute capability {capability}: its oldest "
                f"is {OLDEST_CAPABILITY[release[0]]}"
            )
            fix = f"use an image built with CUDA {release[0] - 1}.x"
            return Judgement("none", reason, fix)
        first = series(FIRST_TOOLKIT.get(capability))
        if first is not None and release < first:
            reason = (
                f"CUDA {software.cuda} is older than compute capability {capability}: it runs "
                "only where every kernel is there as PTX, which nothing says"
            )
            fix = f"use an image built with CUDA {FIRST_TOOLKIT[capability]} or newer"
            return Judgement("unknown", reason, fix)
    return None


def _by_driver(software: Software, release: tuple[int, int], driver: Driver) -> Judgement:
    version = str(driver.version)
    native = series(cuda_of_driver(driver))
    if native is not None and native >= release:
        reason = f"driver {version} knows CUDA {_dotted(native)}, {software.name} is not newer"
        return Judgement("native", reason)
    floor = MINOR_VERSION_FLOOR.get(release[0])
    if floor is None:
        return Judgement("unknown", f"no table says which driver CUDA {release[0]} needs")
    if reaches(version, floor):
        knows = f" (CUDA {_dotted(native)})" if native is not None else ""
        reason = (
            f"driver {version}{knows} is new enough for every CUDA {release[0]}.x (from {floor}), "
            f"{software.name} among them: it runs; what is compiled from PTX at run time may not"
        )
        return Judgement("minor-version", reason)
    return _by_forward(software, release, driver, floor)


def _by_forward(
    software: Software, release: tuple[int, int], driver: Driver, floor: str
) -> Judgement:
    """Judge a driver of an older major version: only the image's cuda-compat may help."""
    version = str(driver.version)
    package = f"cuda-compat-{release[0]}-{release[1]}"
    branches = FORWARD_BRANCHES.get(_dotted(release))
    old = f"driver {version} is too old for CUDA {release[0]}.x, which needs {floor} or newer"
    if branches is not None and (numbers(version) or (0,))[0] not in branches:
        return Judgement(
            "none", f"{old}, and {package} does not support it", _newer_driver(software)
        )
    if driver.brand in CONSUMER_BRANDS:
        reason = f"{old}; {package} helps on data-centre GPUs only, this one is {driver.brand}"
        return Judgement("none", reason, _newer_driver(software))
    if software.compat is False:
        fix = f"{_newer_driver(software)}, or on a data-centre GPU an image with {package}"
        return Judgement("none", f"{old}, and nothing brings {package} along", fix)
    if software.compat is None or branches is None or driver.brand is None:
        reason = f"{old}; it runs on a data-centre GPU where the image carries {package}"
        return Judgement("unknown", reason, _newer_driver(software))
    return Judgement("forward", f"{old}; the image's {package} stands in on this GPU")


def _newer_driver(software: Software) -> str:
    release = series(software.cuda)
    floor = None if release is None else MINOR_VERSION_FLOOR.get(release[0])
    if release is None or floor is None:
        return "install a newer driver"
    return f"install driver {floor} or newer, or use an image built with CUDA {release[0] - 1}.x"


def _dotted(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


@dataclass(frozen=True)
class Offer:
    """A torch release that runs on a driver, and how."""

    wheel: Wheel
    kind: Kind


def newest_sets(driver: Driver) -> tuple[Offer, ...]:
    """Return the newest default torch wheel of each kind that runs on a driver, newest first.

    At most two: the newest at all, and the newest that is native where that is another one.
    """
    offers = [
        Offer(wheel, judge(Software(torch=wheel.torch, compat=False), driver).kind)
        for wheel in WHEELS
    ]
    running = [offer for offer in offers if offer.kind in {"native", "minor-version"}]
    native = [offer for offer in running if offer.kind == "native"]
    return tuple(dict.fromkeys((*running[:1], *native[:1])))


def code_for(architectures: tuple[str, ...], capability: str) -> str | None:
    """Return the entry of a build's architecture list that runs on a compute capability.

    Machine code ("sm_86") runs on the same major version from its own minor on; with the suffix
    "a" on exactly this capability; with "f" as without one. PTX ("compute_90") is compiled for any
    newer device. None: no kernel of the build runs there.
    """
    wanted = numbers(capability)
    if wanted is None:
        return None
    number = wanted[0] * 10 + (wanted[1] if len(wanted) > 1 else 0)
    for entry in sorted(architectures, key=lambda name: name.startswith("compute_")):
        kind, _, text = entry.partition("_")
        exact, digits = text.endswith("a"), text.rstrip("af")
        if not digits.isdigit():
            continue
        built = int(digits)
        if exact:
            fits = built == number
        elif kind == "compute":
            fits = built <= number
        else:
            fits = built // 10 == number // 10 and built <= number
        if fits:
            return entry
    return None
