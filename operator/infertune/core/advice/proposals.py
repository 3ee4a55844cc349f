"""One piece of advice, and how pieces are weighed against each other.

Role: what is proposed, on what evidence, what it would gain and what it takes. Must not know: any
technique. Trade-off: the order is gain times sureness over effort; a piece whose gain nobody can
compute from what was measured stands behind those of the same effort, and says so.
"""

import math
from dataclasses import dataclass
from typing import Literal

from infertune.core.advice.bottleneck import Confidence
from infertune.core.advice.gains import Gain

Ease = Literal["config line", "new image", "other hardware", "retraining"]
# What it takes, as a factor: a line is tried in an hour, a model that is trained anew in weeks.
_EFFORT: dict[Ease, float] = {
    "config line": 1.0,
    "new image": 2.0,
    "other hardware": 3.0,
    "retraining": 8.0,
}
_SURENESS: dict[Confidence, float] = {"low": 0.4, "medium": 0.7, "high": 1.0}


@dataclass(frozen=True, slots=True)
class Advice:
    """What would help.

    Attributes:
        technique: its usual name, such as "BF16" or "CUDA graphs".
        action: what to do, with the line to write where there is one.
        evidence: what was measured that speaks for it.
        gain: how much faster a call becomes; None when what was measured cannot tell.
        confidence: how sure the gain is; without a gain, how sure it is that it helps at all.
        ease: what it takes.
        risk: what to look at before, such as the quality of answers; empty when nothing.
        unquantified: why there is no gain; empty when there is one.
    """

    technique: str
    action: str
    evidence: str
    gain: Gain | None
    confidence: Confidence
    ease: Ease
    risk: str = ""
    unquantified: str = ""

    @property
    def score(self) -> float:
        """Sureness times the logarithm of the gain, over the effort; 0.0 without a gain."""
        if self.gain is None:
            return 0.0
        return math.log(self.gain.middle) * _SURENESS[self.confidence] / _EFFORT[self.ease]

    @property
    def effort(self) -> float:
        """What it takes, as a factor of a line of configuration."""
        return _EFFORT[self.ease]
