"""Why the cluster would not let a pod of a trial in, as one word.

Role: from the sentence of an admission plugin to a word that people can search for, and what mends
it. Must not know: Jobs, events, where the sentence was found. Trade-off: the API server gives these
refusals no machine readable cause, so they are told by the fixed parts of their sentences; one that
fits none is ``Refused``, with its sentence.
"""

import re
from dataclasses import dataclass
from typing import Literal

RefusalWord = Literal["QuotaExceeded", "LimitRange", "PodSecurity", "PolicyDenied", "Refused"]


@dataclass(frozen=True, slots=True)
class _Kind:
    word: RefusalWord
    pattern: re.Pattern[str]
    fix: str


_KINDS = (
    _Kind(
        "QuotaExceeded",
        re.compile(r"(exceeded|failed) quota:"),
        "raise the ResourceQuota of the namespace, or lower what the target asks for",
    ),
    _Kind(
        "PodSecurity",
        re.compile(r"violates PodSecurity"),
        "the target's own template breaks this level: mend it, or label the namespace for it",
    ),
    _Kind(
        "PolicyDenied",
        re.compile(
            r"denied the request|ValidatingAdmissionPolicy .* denied request"
            r"|MutatingAdmissionPolicy|denied by policy"
        ),
        "let the policy allow pods labelled app.kubernetes.io/managed-by=infertune",
    ),
    _Kind(
        "LimitRange",
        re.compile(
            r"(maximum|minimum) \S+ usage per (Container|Pod)"
            r"|\S+ max limit to request ratio per (Container|Pod)"
        ),
        "set resources within the LimitRange in the target's template, or change "
        "spec.trial.defaultLimits",
    ),
)
_OTHER_FIX = "mend what the sentence names, then change the tuning or wait for the next trial"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as a word, and its sentence with the fix."""

    word: RefusalWord
    message: str


def refusal_of(sentence: str) -> Refusal:
    """Return the word and the fix for the sentence of an admission plugin."""
    for kind in _KINDS:
        if kind.pattern.search(sentence):
            return Refusal(kind.word, f"{sentence}; {kind.fix}")
    return Refusal("Refused", f"{sentence}; {_OTHER_FIX}" if sentence else _OTHER_FIX)
