"""Golden requests: `python -m demo_model.golden MODEL` prints the ConfigMaps of the demo.

Role: what the full-precision model answers to six fixed requests, as the quality check of a tuning
reads it, and the body that load is made of. It must not know the server's code. Its trade-off: the
answers are committed in `examples/manifests/demo-requests.yaml`, so that a model which drifts is
found by a test and not blessed by a rebuild.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from demo_model.network import TOKENS, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

GOLDEN_SEED = 11
GOLDEN_REQUESTS = 6
# Scores are probabilities. The int8 variant stays within 0.02, another function is far outside.
TOLERANCE = "0.05"

HEADER = """\
# Made by `python -m demo_model.golden` from the fp32 model; do not edit.
"""
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: demo
data:
  {key}: |
{text}
"""


def golden_requests(
    scores_of: Callable[[list[list[int]]], NDArray[np.float32]],
) -> list[dict[str, object]]:
    """Return the golden list; `scores_of` turns rows of token ids into scores."""
    tokens = np.random.default_rng(GOLDEN_SEED).integers(0, VOCABULARY, (GOLDEN_REQUESTS, TOKENS))
    golden: list[dict[str, object]] = []
    for number, row in enumerate(tokens.tolist()):
        scores = np.asarray(scores_of([row]), dtype=float).round(4).tolist()
        golden.append(
            {
                "name": f"sentence-{number + 1}",
                "request": {"method": "POST", "path": "/predict", "body": {"inputs": [row]}},
                "expected": {"scores": scores},
                "tolerance": TOLERANCE,
            }
        )
    return golden


def payload() -> str:
    """Return the body that load requests carry: one sentence of eight tokens."""
    row = np.random.default_rng(GOLDEN_SEED + 1).integers(0, VOCABULARY, TOKENS).tolist()
    return json.dumps({"inputs": [row]})


def render(golden: list[dict[str, object]]) -> str:
    """Return the two ConfigMaps as YAML."""
    lines = "[\n" + ",\n".join("  " + json.dumps(entry) for entry in golden) + "\n]"
    maps = [("demo-golden", "golden.json", lines), ("demo-payload", "payload.json", payload())]
    documents = [
        CONFIG_MAP.format(
            name=name, key=key, text="\n".join(f"    {line}" for line in text.splitlines())
        )
        for name, key, text in maps
    ]
    return HEADER + "---\n".join(documents)


def main(arguments: list[str]) -> int:
    """Print the manifests for the model file named."""
    (model,) = arguments
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])

    def scores_of(rows: list[list[int]]) -> NDArray[np.float32]:
        (scores,) = session.run(["scores"], {"tokens": np.asarray(rows, dtype=np.int32)})
        return np.asarray(scores, dtype=np.float32)

    sys.stdout.write(render(golden_requests(scores_of)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
