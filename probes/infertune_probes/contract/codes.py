"""A finding code: its stable name, what it means, and what to do about it.

Emit side: standard library only, Python 3.8. It must not know a probe. Every probe keeps its codes
in its own `codes.py`, and findings are only made through them, so that the documentation, which is
generated from these objects, can neither miss a code nor keep one that is gone. Trade-off: the
verdict is chosen where the finding is made, because the same fact (no device, say) is a failure
for one user and a mere fact for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.contract.envelope import Finding

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Verdict


@dataclass(frozen=True)
class Code:
    """One kind of finding.

    Attributes:
        name: `UPPER_SNAKE`, stable for ever: people write alerts on it.
        meaning: one sentence that says what was seen or what could not be.
        fix: one sentence with the command or the manifest line; empty when nothing is wrong.
    """

    name: str
    meaning: str
    fix: str = ""

    def found(self, verdict: Verdict, evidence: str, fix: str | None = None) -> Finding:
        """Return the finding; `fix` replaces the general one when the values are known."""
        return Finding(self.name, verdict, evidence, self.fix if fix is None else fix)

    def passed(self, evidence: str) -> Finding:
        """Return the finding that all is well; there is nothing to mend."""
        return Finding(self.name, "pass", evidence)

    def warned(self, evidence: str, fix: str | None = None) -> Finding:
        """Return the finding that something deserves a look."""
        return self.found("warn", evidence, fix)

    def failed(self, evidence: str, fix: str | None = None) -> Finding:
        """Return the finding that something is broken."""
        return self.found("fail", evidence, fix)

    def unknown(self, evidence: str, fix: str | None = None) -> Finding:
        """Return the finding that nobody could look; it never counts as a pass."""
        return self.found("unknown", evidence, fix)


INTERRUPTED = Code(
    "INTERRUPTED",
    "The probe was told to stop before its end; what it had until then is in the envelope.",
    "run it again, with a longer activeDeadlineSeconds if the cluster ended it",
)
DEADLINE_EXCEEDED = Code(
    "DEADLINE_EXCEEDED",
    "The probe missed its own hard deadline; what it had until then is in the envelope.",
    "see which step hung; a hanging driver call means: drain the node and reset the device",
)
PROBE_CRASHED = Code(
    "PROBE_CRASHED",
    "The probe itself failed with an error that nobody expected.",
    "the traceback is in the probe's log",
)
NO_DEVICE = Code(
    "NO_DEVICE",
    "There is no GPU here; a fact, and a failure only where one was required.",
    "schedule on a node with a GPU, or set gpuCheck to WhenPresent",
)
TORCH_MISSING = Code(
    "TORCH_MISSING",
    "The Python that ran the probe has no torch that can be imported.",
    "run the probe bundle in the image of the model server: `python -m infertune_probes.bundle`",
)

# What more than one probe says.
CATALOGUE = (INTERRUPTED, DEADLINE_EXCEEDED, PROBE_CRASHED, NO_DEVICE, TORCH_MISSING)
