"""Driver and GPUs of a node, as its labels or the last probe tell them.

Role: turn the labels of NVIDIA's GPU feature discovery, or what a probe recorded, into the facts
that the rules of compatibility need. Must not know: which image is meant. Trade-off: the brand is
read from the product's name, in which only consumer brands and the classic data-centre names are
recognised; any other product has no known brand.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from infertune.api.node_status import DriverFacts
from infertune_probes.contract.compatibility import Driver
from infertune_probes.contract.versions_result import VersionsResult

PREFIX = "nvidia.com/"
_DATA_CENTRE = re.compile(
    r"^(?:NVIDIA[- ])?(?:Tesla[- ])?(?:A2|A10G?|A16|A30|A40|A100|A800|B[123]00|G[BH][23]00|H20|"
    r"H[128]00|L2|L4|L20|L40S?|P4|P40|P100|T4G?|V100S?)(?:[- ]|$)"
)


def driver_of_labels(labels: Mapping[str, str]) -> Driver | None:
    """Return what the labels tell; None where they name no driver."""

    def told(*names: str) -> str | None:
        return next((labels[PREFIX + name] for name in names if labels.get(PREFIX + name)), None)

    def joined(name: str) -> str | None:
        parts = [labels.get(f"{PREFIX}{name}.{part}") for part in ("major", "minor", "rev")]
        known = [part for part in parts if part]
        return ".".join(known) if parts[0] else None

    version = told("cuda.driver-version.full") or joined("cuda.driver")
    if version is None:
        return None
    capability = joined("gpu.compute")
    return Driver(
        version=version,
        cuda=told("cuda.runtime-version.full") or joined("cuda.runtime"),
        brand=brand_of(told("gpu.product")),
        capabilities=() if capability is None else (capability,),
    )


def brand_of(product: str | None) -> str | None:
    """Return NVML's word for the brand of a product; None where its name does not tell."""
    name = (product or "").lower()
    for word in ("geforce", "titan"):
        if word in name:
            return word
    return "nvidia" if _DATA_CENTRE.match(product or "") and "rtx" not in name else None


def recorded_driver(found: VersionsResult | None) -> DriverFacts | None:
    """Return what status keeps of a probe of versions; None where it saw no driver."""
    if found is None or found.driver_version is None:
        return None
    brands = {device.brand for device in found.devices}
    capabilities = {d.compute_capability for d in found.devices if d.compute_capability}
    return DriverFacts(
        version=found.driver_version[:64],
        cuda=found.cuda_driver_version and found.cuda_driver_version[:64],
        brand=brands.pop() if len(brands) == 1 else None,
        compute_capabilities=tuple(sorted(capabilities)[:16]),
    )


def driver_of_facts(facts: DriverFacts) -> Driver:
    """Return recorded facts in the form of the rules."""
    return Driver(facts.version, facts.cuda, facts.brand, facts.compute_capabilities)


def driver_recorded(statuses: Iterable[Mapping[str, Any]], node: str) -> Driver | None:
    """Return what the probe of versions last told of a node, from statuses as the server has them.

    None where no status holds a driver of that node.
    """
    for status in statuses:
        for probe in status.get("probes", ()):
            facts = DriverFacts.model_validate(probe.get("driver") or {})
            if probe.get("node") == node and facts.version:
                return driver_of_facts(facts)
    return None
