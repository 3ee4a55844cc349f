"""What an earlier version's probe wrote is still read, and still says the same."""

from pathlib import Path

import pytest

from infertune_probes.contract.load import parse_envelope

FOLDER = Path(__file__).parents[1] / "fixtures" / "envelopes"
FILES = sorted(FOLDER.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_the_envelope_of_an_earlier_version_loads(path: Path) -> None:
    envelope = parse_envelope(path.read_bytes())
    assert envelope.probe == path.stem
    assert envelope.findings
    assert envelope.result is not None


def test_every_version_with_statuses_has_its_envelopes() -> None:
    versions = {path.name for path in (FOLDER.parent / "status").iterdir() if path.is_dir()}
    assert {path.parent.name for path in FILES} >= versions
