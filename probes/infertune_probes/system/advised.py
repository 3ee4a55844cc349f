"""A finding with the advice that belongs to it, and what all judgements look at.

It must not hold a threshold. Trade-off: the advice travels twice, as one sentence in the
finding's fix (which everybody reads) and in parts in the result section (which a report lays out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infertune_probes.contract.codes import Code
    from infertune_probes.contract.envelope import Finding, Verdict
    from infertune_probes.system.facts import Facts
    from infertune_probes.system.window import Window


@dataclass(frozen=True)
class Advice:
    """What to do, why it helps, and what it may break. The probe itself does none of it."""

    command: str
    reason: str
    risk: str

    @property
    def sentence(self) -> str:
        """The three in one line."""
        return f"{self.command}; {self.reason}; risk: {self.risk}"


@dataclass(frozen=True)
class Advised:
    """One finding; `advice` None where nothing is to be done."""

    finding: Finding
    advice: Advice | None = None


@dataclass(frozen=True)
class View:
    """Everything there is to judge."""

    window: Window
    facts: Facts
    unreadable: dict[str, str]
    sees_all: bool | None


def advised(code: Code, verdict: Verdict, evidence: str, advice: Advice) -> Advised:
    """Return the finding whose fix is the advice."""
    return Advised(code.found(verdict, evidence, advice.sentence), advice)


def quiet(code: Code, evidence: str) -> Advised:
    """Return the finding that an area is well."""
    return Advised(code.passed(evidence))


def mebibytes(size: float) -> str:
    """Return a size for people: 1536 MiB is "1.5 GiB"."""
    gibi = 1 << 30
    if size >= gibi:
        return f"{size / gibi:.3g} GiB"
    mebi, kibi = 1 << 20, 1 << 10
    if size >= mebi:
        return f"{size / mebi:.3g} MiB"
    return f"{size / kibi:.3g} KiB" if size >= kibi else f"{size:.0f} B"
