"""The newest envelope in the log of a probe that still runs, and so has no termination message.

Load side. It must not know what the envelope says. Only the probe's own container writes to this
log, and each block names the digest of its payload; what a foreign hand could do to the log of a
running container it could do to the probe itself. Trade-off: a block that is not whole yet, or was
cut by a rotation of the log, is skipped for the one before it, which is a few seconds older.
"""

from __future__ import annotations

import re

from infertune_probes.contract.load import Envelope, PayloadError, PayloadLost, parse_log

_BEGIN = re.compile(r"^-----BEGIN INFERTUNE RESULT ([0-9a-f]{64})-----$", re.MULTILINE)
_MOST_TRIED = 3


def parse_newest(text: str) -> Envelope:
    """Return the last whole envelope in the log.

    Raises:
        PayloadLost: there is no block at all.
        PayloadError: none of the last blocks can be used; this is what is wrong with the newest.
    """
    digests = list(dict.fromkeys(reversed(_BEGIN.findall(text))))[:_MOST_TRIED]
    first: PayloadError | None = None
    for digest in digests:
        try:
            return parse_log(text, digest)
        except PayloadError as error:
            first = first or error
    if first is not None:
        raise first
    msg = "the log holds no payload"
    raise PayloadLost(msg)
