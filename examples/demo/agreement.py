"""Do the client and Prometheus tell the same story?

Role: compare one percentile of both sides of the same window. It must not know how either was
measured. Its trade-off: a classic histogram knows a percentile only to its bucket, so "agree" means
that the client's figure is no further from Prometheus' than that bucket is wide.
"""

from dataclasses import dataclass

from infertune.api.status import Reading


@dataclass(frozen=True, slots=True)
class Agreement:
    """The comparison of one figure; `agrees` is None when one side has none."""

    name: str
    client_ms: float | None
    prometheus_ms: float | None
    bucket_ms: float | None
    agrees: bool | None

    def sentence(self) -> str:
        """Return the comparison for people."""
        if self.client_ms is None or self.prometheus_ms is None or self.bucket_ms is None:
            return f"{self.name}: cannot be compared, one side has no figure"
        word = "agree" if self.agrees else "DISAGREE"
        apart = abs(self.client_ms - self.prometheus_ms)
        return (
            f"{self.name}: client {self.client_ms:.0f} ms, Prometheus {self.prometheus_ms:.0f} ms: "
            f"{word} ({apart:.1f} ms apart, the bucket is {self.bucket_ms:.0f} ms wide)"
        )


def agreement(name: str, client: Reading, prometheus: Reading) -> Agreement:
    """Return whether both figures are within the error of the Prometheus bucket.

    Example: Prometheus 168 ms from the bucket 160..170 has an error of 10 ms, so a client at
    177 ms agrees and one at 179 ms does not.
    """
    low, high = prometheus.low, prometheus.high
    width = None if low is None or high is None else high - low
    if client.value is None or prometheus.value is None or width is None:
        return Agreement(name, client.value, prometheus.value, width, None)
    apart = abs(client.value - prometheus.value)
    return Agreement(name, client.value, prometheus.value, width, apart <= width)
