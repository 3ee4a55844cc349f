"""What the load probe can find.

It must not know how a finding comes about. Trade-off: a fix names the load probe's own flags, as a
person at a shell knows them; the operator translates for its users.
"""

from __future__ import annotations

from infertune_probes.contract.codes import Code

LOAD_MEASURED = Code(
    "LOAD_MEASURED", "Requests were sent and answered; the figures are in `result`."
)
NOTHING_COMPLETED = Code(
    "NOTHING_COMPLETED",
    "Not one request was answered with success.",
    "check the URL, a NetworkPolicy or mTLS between the load pod and the server",
)
LADDER_STOPPED = Code(
    "LADDER_STOPPED", "Higher rates were skipped, because a lower one already broke the promise."
)
CLIENT_LATE = Code(
    "CLIENT_LATE",
    "The client itself sent late by more than 5 % of the SLO (P99), so its latencies are its own.",
    "give the load probe more CPU, or lower the rate",
)
CLIENT_BUSY = Code(
    "CLIENT_BUSY",
    "The client used more than 70 % of one core.",
    "split the rate over more probes",
)
LOAD_CAPPED = Code(
    "LOAD_CAPPED",
    "A cap on time or requests ended a rate before its window was full.",
    "raise --max-seconds or --max-requests, or shorten the ladder",
)
NOT_READY = Code(
    "NOT_READY",
    "The server did not answer its readiness URL in time.",
    "read the server's log; raise the deadline when the server needs longer to start",
)
QUALITY_UNREADABLE = Code(
    "QUALITY_UNREADABLE", "The golden requests cannot be read.", "correct the golden file"
)
QUALITY_PASSED = Code("QUALITY_PASSED", "The golden requests were answered within tolerance.")
QUALITY_FAILED = Code(
    "QUALITY_FAILED",
    "Too many golden requests were answered wrongly.",
    "the candidate answers wrongly; no load was sent",
)
HEADER_UNUSABLE = Code(
    "HEADER_UNUSABLE",
    "A header from a Secret has no value, or one that cannot stand in a header.",
    "correct the value in the Secret that spec.load.headersFrom names",
)

CATALOGUE = (
    LOAD_MEASURED,
    NOTHING_COMPLETED,
    LADDER_STOPPED,
    CLIENT_LATE,
    CLIENT_BUSY,
    LOAD_CAPPED,
    NOT_READY,
    QUALITY_UNREADABLE,
    QUALITY_PASSED,
    QUALITY_FAILED,
    HEADER_UNUSABLE,
)
