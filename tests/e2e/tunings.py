"""The tiny tunings that the end-to-end tests give to the operator.

Role: the demo's own manifest with shorter windows and half its load. Must not know: the cluster.
Trade-off: margins are wide instead of windows long. At 40 requests a second the slow setting (full
precision, batch 1) carries 18 on a replica and answers far above 250 ms, the fast one (int8, batch
8) answers well below; so a few seconds per rate tell them apart on a busy machine too.
"""

import copy
from collections.abc import Mapping
from typing import Any

from demo.image_set import SERVER_INT8
from demo.workload import read_tuning
from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import SpecError, parse_spec

NAME = "tiny"
SLO_MS = 250
PEAK = 40
# Below the peak, so that a slow answer can never be blamed on more traffic than was declared.
LIVE_RATE = 36
START_REPLICAS = 2

_TINY: Mapping[str, Any] = {
    "slo": {"latencyMilliseconds": SLO_MS},
    "demand": {"peakRequestsPerSecond": PEAK, "troughRequestsPerSecond": 10},
    "knobs": {
        "batchSize": {"values": [1, 8]},
        "images": [SERVER_INT8],
        "replicas": {"min": 1, "max": START_REPLICAS},
    },
    "probes": {"benchmark": "Disabled"},
    "trial": {"secondsPerRate": 6, "warmupSeconds": 2, "maxRates": 2},
    "rollout": {"warmupSeconds": 3, "applyTimeoutSeconds": 120},
    "budget": {"maxTrials": 4, "wallClockSeconds": 600},
}


def tuning(namespace: str, mode: str, **sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of a tiny tuning; sections of the spec may be changed by name."""
    raw, _ = read_tuning()
    spec = raw["spec"]
    for layer in (_TINY, {"mode": mode}, sections):
        spec = merged(spec, layer)
    return {**raw, "metadata": {"name": NAME, "namespace": namespace}, "spec": spec}


def live_spec() -> TuningSpec:
    """Return the spec that the live client is made from: its peak is the rate really sent."""
    raw = tuning("any", "Recommend", demand={"peakRequestsPerSecond": LIVE_RATE})
    spec = parse_spec(raw["spec"])
    assert not isinstance(spec, SpecError), spec
    return spec


def merged(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `layer` over it: mappings are merged, everything else is replaced."""
    result = copy.deepcopy(dict(base))
    for key, value in layer.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = copy.deepcopy(value)
    return result
