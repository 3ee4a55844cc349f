"""What an invalid fixture says of itself.

The first line of a fixture reads `# expect: FIELD | words of the server | words of the offline
check`. Must not know: who is asked.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.contract.paths import INVALID

PREFIX = "# expect: "


@dataclass(frozen=True, slots=True)
class Expectation:
    """The field with the mistake, and what each side must say of it."""

    field: str
    server: str
    offline: str


def read_expectation(path: Path) -> Expectation:
    """Return the expectation of a fixture."""
    first = path.read_text().splitlines()[0]
    assert first.startswith(PREFIX), f"{path.name} must start with `{PREFIX}`"
    field, server, offline = first.removeprefix(PREFIX).split(" | ")
    return Expectation(field=field, server=server, offline=offline)


def invalid_manifests() -> list[Path]:
    """Return the invalid fixtures."""
    return sorted(INVALID.glob("*.yaml"))
