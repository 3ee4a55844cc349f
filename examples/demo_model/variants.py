"""The three variants of the demo model, and how each is made.

Role: network in, file out. It must not know the server. `fp32` is the network as it is; `int8`
quantises the feature matmuls of all blocks but the last (weights stored as int8, activations
quantised as they come), the common practice of leaving the layer next to the head in full
precision; `wrong` is made like `int8` from another seed: just as fast, and not the same function.
Its trade-off: quantisation is dynamic, which needs no calibration set and costs some speed.
"""

from __future__ import annotations

import hashlib
import logging
from enum import StrEnum
from typing import TYPE_CHECKING

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from demo_model.network import BLOCKS, make_network, matmul_names

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_240_229
WRONG_SEED = 20_240_301


class Variant(StrEnum):
    """What a model file may be."""

    FP32 = "fp32"
    INT8 = "int8"
    WRONG = "wrong"


def write_variant(variant: Variant, path: Path) -> None:
    """Write `variant` to `path`, the same bytes every time with the same library versions."""
    network = make_network(WRONG_SEED if variant is Variant.WRONG else SEED)
    if variant is not Variant.FP32:
        network = _quantised(network, path)
    onnx.helper.set_model_props(network, {**_properties(network), "variant": variant.value})
    path.write_bytes(network.SerializeToString(deterministic=True))


def weights_digest(path: Path) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of the file's weights, in order."""
    digest = hashlib.sha256()
    for tensor in onnx.load(str(path)).graph.initializer:
        digest.update(f"{tensor.name} {tensor.data_type} {list(tensor.dims)}\n".encode())
        digest.update(onnx.numpy_helper.to_array(tensor).tobytes())
    return digest.hexdigest()


def _quantised(network: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    # The library warns through the root logger about a preparation that this graph does not need.
    logging.getLogger().setLevel(logging.ERROR)
    full = path.with_suffix(".full.onnx")
    try:
        full.write_bytes(network.SerializeToString(deterministic=True))
        quantize_dynamic(
            full, path, weight_type=QuantType.QInt8, nodes_to_quantize=matmul_names(BLOCKS - 1)
        )
    finally:
        full.unlink(missing_ok=True)
    small = onnx.load(str(path))
    onnx.helper.set_model_props(small, _properties(network))
    return small


def _properties(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}
