"""The versions probe on a real GPU; elsewhere skipped, with the reason."""

from pathlib import Path

import pytest

from infertune_probes.contract.load import Envelope
from tests.gpu.test_gpu_probes import nvidia_devices, probed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(nvidia_devices() == 0, reason="no NVIDIA device on this machine's PCI bus"),
]


def verdicts(envelope: Envelope) -> dict[str, str]:
    return {finding.code: finding.verdict for finding in envelope.findings}


def test_the_versions_of_a_gpu_node_are_known_and_a_kernel_runs(tmp_path: Path) -> None:
    found = probed(tmp_path, "infertune_probes.versions")
    told = found.versions
    assert told is not None
    assert verdicts(found)["DRIVER_KNOWN"] == "pass"
    assert told.driver_version is not None
    assert [device.compute_capability is not None for device in told.devices] != []
    if told.torch is None:
        pytest.skip(f"kernels not launched: {told.torch_reason}")
    assert told.compatibility.kind in {"native", "minor-version", "forward"}
    assert verdicts(found)["KERNEL_LAUNCHED"] == "pass"
    assert verdicts(found)["ARCHITECTURE_SUPPORTED"] == "pass"
