"""An HTTP session that trusts the other side with nothing: bounded size, bounded time, no detours.

Role: the transport below the Prometheus client. Must not know: queries, what an answer means.
Trade-off: redirects are refused, since they lead past the address that was agreed on (a login page
mostly, an address inside the cluster at worst); whoever runs such a proxy names its target instead.
"""

import time

import requests

MOST_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
# A server that trickles keeps within the limit of one read, again and again.
_LONGEST_READS = 3


class AnswerTooLong(requests.RequestException):
    """The answer is larger, or slower, than any real one."""


class BoundedSession(requests.Session):
    """Follows no redirect and reads an answer only up to a size and a time."""

    def __init__(self, timeout_seconds: int, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.max_redirects = 0
        self._most_bytes = most_bytes
        self._longest_seconds = _LONGEST_READS * timeout_seconds
        self.hooks["response"].append(self._read)

    def _read(self, response: requests.Response, *_: object, **__: object) -> None:
        """Read the answer before anybody asks for it, since nobody after this counts."""
        began = time.monotonic()
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._most_bytes:
                response.close()
                message = f"the answer is longer than {self._most_bytes} bytes"
                raise AnswerTooLong(message)
            if time.monotonic() - began > self._longest_seconds:
                response.close()
                message = f"the answer took longer than {self._longest_seconds} s"
                raise AnswerTooLong(message)
        response._content = bytes(body)  # noqa: SLF001  # there is no other way to hand it on
