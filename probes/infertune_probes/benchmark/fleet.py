"""Devices and nodes of one kind side by side: who is slower, and how uneven are they?

Pure. It must not read files. The yardstick is the median of the kind with its median absolute
deviation (MAD, times 1.4826 for a normal spread); with fewer than four members, where a MAD says
nothing, the fastest is the yardstick. Differences under 5 % are noise between nodes. Trade-off:
one figure at a time; who is slow in any of them is named.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.benchmark import codes
from infertune_probes.contract.balance import BALANCED, balance_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.contract.envelope import Finding

LEAST_FOR_MAD = 4
MAD_TO_SIGMA = 1.4826
SIGMAS = 3.0
NOISE = 0.05
BEHIND_BEST = 0.90
SLOWER_CLOCK = 0.95


@dataclass(frozen=True)
class Member:
    """One device: where it is, its figure, and what may explain it."""

    where: str
    value: float
    clock_mhz: float | None = None
    temperature_celsius: float | None = None
    settled: bool = True


@dataclass(frozen=True)
class Ranked:
    """One figure over all members of a kind."""

    kind: str
    figure: str
    unit: str
    members: tuple[Member, ...]

    @property
    def median(self) -> float:
        """The median of the kind."""
        return statistics.median(member.value for member in self.members)

    @property
    def mad(self) -> float:
        """The median absolute deviation."""
        median = self.median
        return statistics.median(abs(member.value - median) for member in self.members)

    @property
    def balance(self) -> float:
        """Mean over fastest: 1 when all are equal."""
        return balance_index([member.value for member in self.members]) or 0.0

    @property
    def bound(self) -> float:
        """Below this a member is a straggler.

        Example: 100, 100, 101, 99, 80 has median 100, MAD 1: the bound is the lower of
        100 - 3 * 1.4826 = 95.6 and 95 (5 % below); 80 is a straggler.
        """
        if len(self.members) < LEAST_FOR_MAD:
            return BEHIND_BEST * max(member.value for member in self.members)
        spread = self.median - SIGMAS * MAD_TO_SIGMA * self.mad
        return min(spread, (1 - NOISE) * self.median)

    @property
    def stragglers(self) -> tuple[Member, ...]:
        """Who is slower than the bound, the slowest first."""
        slow = [member for member in self.members if member.value < self.bound]
        return tuple(sorted(slow, key=lambda member: member.value))

    def to_json(self) -> dict[str, object]:
        """Return the figure as a JSON object."""
        slow = {member.where for member in self.stragglers}
        return {
            "device": self.kind,
            "figure": self.figure,
            "unit": self.unit,
            "median": self.median,
            "mad": self.mad if len(self.members) >= LEAST_FOR_MAD else None,
            "bound": self.bound,
            "balance": self.balance,
            "members": [
                {"where": m.where, "value": m.value, "straggler": m.where in slow}
                for m in self.members
            ],
        }


def judge(figures: Sequence[Ranked]) -> list[Finding]:
    """Return stragglers and imbalance; one pass for all when there are none."""
    compared = [figure for figure in figures if len(figure.members) > 1]
    if not compared:
        return [codes.NOTHING_TO_COMPARE.unknown("fewer than two members of one kind")]
    findings = [
        codes.STRAGGLER.warned(
            f"{member.where}: {member.value:.4g} {figure.unit} {figure.figure}, the {figure.kind} "
            f"median is {figure.median:.4g} of n={len(figure.members)}; {_cause(figure, member)}"
        )
        for figure in compared
        for member in figure.stragglers
    ]
    for figure in compared:
        if figure.balance < BALANCED:
            slowest = min(figure.members, key=lambda member: member.value)
            evidence = (
                f"{figure.kind} {figure.figure}: mean over fastest {figure.balance:.2f}, slowest "
                f"{slowest.where}; {_cause(figure, slowest)}"
            )
            findings.append(codes.BALANCE.warned(evidence))
    if not findings:
        names = ", ".join(f"{f.kind} {f.figure} n={len(f.members)}" for f in compared)
        return [codes.FLEET_EVEN.passed(f"no straggler in {names}")]
    return findings


def _cause(figure: Ranked, member: Member) -> str:
    """Return the likeliest cause that the figures themselves show."""
    clocks = [other.clock_mhz for other in figure.members if other.clock_mhz is not None]
    if member.clock_mhz is not None and clocks:
        usual = statistics.median(clocks)
        if member.clock_mhz < SLOWER_CLOCK * usual:
            heat = member.temperature_celsius
            told = "" if heat is None else f" at {heat:.0f} C"
            return f"its clock ran at {member.clock_mhz:.0f} MHz{told}, the others at {usual:.0f}"
    if not member.settled:
        return "its times never settled: another process shares the device"
    return "its clock explains nothing: look for another process, ECC and PCIe width"
