"""The demo network: an untrained but fixed text classifier in the shape of an MLP-Mixer.

Role: a seed in, an ONNX graph out. It must not know variants or files. Eight token ids are
embedded, then three residual blocks mix tokens (8 x 8) and features (1024 -> 4096 -> 1024); the
mean goes to eight classes. 29.4 M parameters: at small batches the time goes into reading the
weights, so a larger batch costs less per row, as in the models people really serve. Its trade-off:
random weights answer nothing useful, but they are made in a second, are the same everywhere and
carry no licence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENS = 8
VOCABULARY = 4096
WIDTH = 1024
HIDDEN = 4096
BLOCKS = 3
CLASSES = 8
OPSET = 17
IR_VERSION = 9

# Gains that keep the residual stream near unit variance and the scores away from both a uniform and
# a one-hot answer, so that a wrong model is told from a right one by its scores.
MIX_GAIN = 0.6
UP_GAIN = 1.4
DOWN_GAIN = 0.5
HEAD_GAIN = 2.5


@dataclass(slots=True)
class _Graph:
    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def weight(self, name: str, rows: int, columns: int, gain: float) -> None:
        """Add a matrix of uniform numbers with standard deviation gain / sqrt(rows)."""
        # Uniform and not normal: its bits come straight from the generator, without libm.
        uniform: NDArray[np.float32] = self.random.random((rows, columns), dtype=np.float32)
        scale = np.float32(gain * (3.0 / rows) ** 0.5)
        matrix = (uniform * np.float32(2) - np.float32(1)) * scale
        self.weights.append(numpy_helper.from_array(matrix, name))

    def node(self, operator: str, inputs: list[str], output: str) -> str:
        """Add an operator named like its output and return that name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output))
        return output


def make_network(seed: int) -> ModelProto:
    """Return the network with weights drawn from `seed`: int32 tokens [n, 8] -> scores [n, 8]."""
    graph = _Graph(np.random.Generator(np.random.PCG64(seed)))
    graph.weight("embedding", VOCABULARY, WIDTH, VOCABULARY**0.5)
    stream = graph.node("Gather", ["embedding", "tokens"], "stream")
    for number in range(BLOCKS):
        stream = _add_block(graph, stream, number)
    graph.nodes.append(
        helper.make_node("ReduceMean", [stream], ["pooled"], name="pooled", axes=[1], keepdims=0)
    )
    graph.weight("head", WIDTH, CLASSES, HEAD_GAIN)
    graph.node("MatMul", ["pooled", "head"], "logits")
    graph.node("Softmax", ["logits"], "scores")
    return _model(graph)


def matmul_names(blocks: int) -> list[str]:
    """Return the names of the feature matmuls of the first `blocks` blocks."""
    return [f"{kind}_{number}" for number in range(blocks) for kind in ("up", "down")]


def parameter_count(model: ModelProto) -> int:
    """Return how many numbers the model's weights hold."""
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)


def _add_block(graph: _Graph, stream: str, number: int) -> str:
    graph.weight(f"mix_weight_{number}", TOKENS, TOKENS, MIX_GAIN)
    graph.weight(f"up_weight_{number}", WIDTH, HIDDEN, UP_GAIN)
    graph.weight(f"down_weight_{number}", HIDDEN, WIDTH, DOWN_GAIN)
    mixed = graph.node("MatMul", [f"mix_weight_{number}", stream], f"mix_{number}")
    middle = graph.node("Add", [mixed, stream], f"mixed_{number}")
    up = graph.node("MatMul", [middle, f"up_weight_{number}"], f"up_{number}")
    active = graph.node("Relu", [up], f"relu_{number}")
    down = graph.node("MatMul", [active, f"down_weight_{number}"], f"down_{number}")
    return graph.node("Add", [down, middle], f"block_{number}")


def _model(graph: _Graph) -> ModelProto:
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT32, ["rows", TOKENS])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", CLASSES])
    body = helper.make_graph(graph.nodes, "demo", [tokens], [scores], graph.weights)
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    helper.set_model_props(model, {"tokens": str(TOKENS), "vocabulary": str(VOCABULARY)})
    return model
