"""The command line of the load probe for one trial.

Role: the one place where a trial's ladder becomes flags. Must not know: Jobs. Trade-off: the seed
comes from the trial's name, so a repeated trial meets other arrivals and the same trial the same.
"""

from hashlib import sha256

from infertune.api.spec import TuningSpec
from infertune.api.status import TrialRecord
from infertune.core.level_verdict import LEVEL_BLOCK_REQUESTS
from infertune.core.resolve import Resolved

_SEED_BITS = 31


def load_arguments(
    record: TrialRecord, spec: TuningSpec, resolved: Resolved, address: str
) -> list[str]:
    """Return the arguments for the ladder of ``record`` against the server at ``address``."""
    load, trial = spec.load, spec.trial
    host = f"[{address}]" if ":" in address else address
    origin = f"http://{host}:{resolved.port}"
    arguments = [
        *("--url", origin + load.path),
        *("--method", load.method),
        *("--timeout-seconds", str(load.request_timeout_seconds)),
        *("--rates", ",".join(f"{rate:g}" for rate in record.rates)),
        *("--seconds-per-rate", str(trial.seconds_per_rate)),
        *("--warmup-seconds", str(trial.warmup_seconds)),
        *("--arrivals", "poisson"),
        *("--seed", str(seed_of(record.name))),
        *("--slo-ms", str(spec.slo.latency_milliseconds)),
        *("--block-requests", str(LEVEL_BLOCK_REQUESTS)),
        *("--max-seconds", str(_longest(record, spec))),
    ]
    if resolved.ready_path is not None:
        url = f"http://{host}:{resolved.ready_port}{resolved.ready_path}"
        ready = [url, str(trial.startup_timeout_seconds)]
        arguments += ["--wait-ready", *ready]
    for number, header in enumerate(load.headers_from):
        arguments += ["--header-env", f"{header.name}={header_variable(number)}"]
    if load.payload_ref is not None:
        arguments += ["--header", f"Content-Type: {load.content_type}"]
        arguments += ["--body-file", f"/payload/{load.payload_ref.key}"]
    if spec.quality is not None:
        arguments += ["--golden", f"/golden/{spec.quality.key}"]
        allowed = spec.quality.max_quality_drop_percent
        arguments += ["--max-quality-drop-percent", allowed]
    return arguments


def header_variable(number: int) -> str:
    """Return the environment variable in which the load probe finds a header from a Secret."""
    return f"INFERTUNE_HEADER_{number}"


def seed_of(name: str) -> int:
    """Return a seed that is the same for the same name."""
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big") >> (32 - _SEED_BITS)


def _longest(record: TrialRecord, spec: TuningSpec) -> int:
    trial = spec.trial
    ladder = len(record.rates) * (trial.seconds_per_rate + trial.warmup_seconds)
    return ladder + trial.startup_timeout_seconds + spec.load.request_timeout_seconds * 2
