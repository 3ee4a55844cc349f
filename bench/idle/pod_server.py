"""The server in every target pod: a request-duration histogram that grows as if it were used.

Role: run inside the pod, from a ConfigMap, with the standard library alone; answer each scrape with
Poisson traffic of the time since the last one. It must not know the bench. Its trade-off: no
request is ever served, latencies are drawn when somebody looks, so a pod costs almost nothing
between two scrapes.
"""

import math
import os
import random  # noqa: TID251  # invented traffic is chance by trade
import signal
import socket
import sys
import time
from collections.abc import Sequence
from types import FrameType

PORT = 8080
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
CODES = ("200", "429", "500")
FAILED_SHARE = 0.001
RATE = 20.0
MEDIAN_SECONDS = 0.09
SPREAD = 0.4
LONGEST_LINE = 65536


class Traffic:
    """Invented requests, counted as a Prometheus client library would count them."""

    def __init__(self, name: str, seed: str, now: float) -> None:
        self.name = name
        self._chance = random.Random(seed)  # noqa: S311  # nothing here is secret
        self._last = now
        self._counts = {code: [0] * (len(BOUNDS) + 1) for code in CODES}
        self._sums = dict.fromkeys(CODES, 0.0)

    def advance(self, now: float) -> None:
        """Count the requests that arrived since the last look."""
        until = self._last
        while True:
            until += self._chance.expovariate(RATE)
            if until > now:
                break
            self._answer()
        self._last = now

    def render(self) -> str:
        """Return the histogram in Prometheus' text format, all series born at zero."""
        lines = [f"# TYPE {self.name} histogram"]
        for code in CODES:
            total = 0
            for bound, count in zip((*BOUNDS, math.inf), self._counts[code], strict=True):
                total += count
                edge = "+Inf" if math.isinf(bound) else f"{bound:g}"
                lines.append(f'{self.name}_bucket{{code="{code}",le="{edge}"}} {total}')
            lines.append(f'{self.name}_sum{{code="{code}"}} {self._sums[code]:.6f}')
            lines.append(f'{self.name}_count{{code="{code}"}} {total}')
        return "\n".join(lines) + "\n"

    def _answer(self) -> None:
        seconds = self._chance.lognormvariate(math.log(MEDIAN_SECONDS), SPREAD)
        code = "500" if self._chance.random() < FAILED_SHARE else "200"
        self._counts[code][bucket_of(seconds, BOUNDS)] += 1
        self._sums[code] += seconds


def bucket_of(seconds: float, bounds: Sequence[float]) -> int:
    """Return the index of the first bound that is not below the latency."""
    return next((i for i, bound in enumerate(bounds) if seconds <= bound), len(bounds))


def serve(traffic: Traffic, listener: socket.socket) -> None:
    """Answer one connection after the other; every path is the metrics page."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(2.0)
            try:
                connection.recv(LONGEST_LINE)
                traffic.advance(time.monotonic())
                body = traffic.render().encode()
                head = (
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                connection.sendall(head.encode() + body)
            except OSError:
                continue  # a scraper that left is no reason to end


def leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: the first process of a container has no default for signals."""
    sys.exit(0)


def main() -> None:
    """Serve until told to stop."""
    signal.signal(signal.SIGTERM, leave)
    listener = socket.create_server(("", PORT), backlog=16)
    name, seed = os.environ["HISTOGRAM"], os.environ.get("HOSTNAME", "")
    serve(Traffic(name, seed, time.monotonic()), listener)


if __name__ == "__main__":
    main()
