"""The model: token ids in, class scores out.

Role: owns the onnxruntime session. It must not know HTTP, queues or batching policy. Its trade-off:
one intra-op thread and no spinning, so that a run costs what the CPU limit says and leaves no busy
thread behind; on a larger machine a replica does not get faster, one adds replicas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WARM_UP_SIZES = (1, 2, 4, 8)


class Classifier:
    """One loaded model; `classify` may be called from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Load the model at `path`; onnxruntime's own error ends the start when it is not one."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        facts = self._session.get_modelmeta().custom_metadata_map
        self.variant: str = facts["variant"]
        self.tokens: int = int(facts["tokens"])
        self.vocabulary: int = int(facts["vocabulary"])

    def classify(self, rows: list[list[int]]) -> list[list[float]]:
        """Return one list of class scores (summing to 1) per row of `tokens` token ids."""
        (scores,) = self._session.run(["scores"], {"tokens": np.asarray(rows, dtype=np.int32)})
        batch: NDArray[np.float32] = np.asarray(scores, dtype=np.float32)
        answer: list[list[float]] = batch.astype(float).round(6).tolist()
        return answer

    def warm_up(self) -> None:
        """Run a few sizes once, so that the first request does not pay for the allocator."""
        for size in WARM_UP_SIZES:
            self.classify([[0] * self.tokens] * size)
