"""What an operator or a kernel is for, told by its name; and its precision, by name or type.

Pure tables. It must not know times. Trade-off: names are a convention of the libraries (cuBLAS,
CUTLASS, cuDNN, Triton, FlashAttention, rocBLAS), so an unknown one is "other", never guessed;
the share of "other" is told with every reading.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infertune_probes.profiler.chrome_trace import Span

GEMM, ATTENTION, CONVOLUTION = "gemm", "attention", "convolution"
POINTWISE, REDUCTION, COPY, COLLECTIVE, OTHER = (
    "pointwise",
    "reduction",
    "copy",
    "collective",
    "other",
)
# In this order: a flash attention kernel is also built of matrix products, and says so.
_KERNELS = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (COLLECTIVE, r"nccl|rccl|all_?reduce|all_?gather|reduce_?scatter|cross_device_reduce"),
        # FlashInfer names all its kernels after itself; the store of keys and values after Flash.
        (
            ATTENTION,
            (
                r"flash(?!infer)(?<!reshape_and_cache_flash)|fmha|attention|attn|paged_?kv|sdp[ab]?_|"
                r"flashinfer.*(kvcache|prefill|decode|mla)"
            ),
        ),
        (CONVOLUTION, r"conv(?!ert)|winograd|implicit_gemm|dgrad|wgrad|fprop"),
        (
            GEMM,
            (
                r"gemm|gemv|cublas|nvjet|wgmma|mma_|s16816|s1688|s884|splitk|cijk_|dot_kernel|marlin|"
                r"fused_moe"
            ),
        ),
        (
            REDUCTION,
            r"reduce|softmax|layer_?norm|rms_?norm|batch_?norm|bn_[fb]w|norm_kernel|GammaBeta|DeviceScan|triton_(red|per)|sum|argmax|topk|sort|pool",
        ),
        (
            POINTWISE,
            (
                r"elementwise|pointwise|vectorized|convert|gelu|silu|relu|act_and_mul|rotary|embedding|"
                r"index|gather|scatter|cat|fill|cast|transpose|copy|dropout|triton_(poi|_0d)|nchwTo|nhwcTo|"
                r"multi_tensor_apply|dequant|quantize|reshape_and_cache"
            ),
        ),
    )
)
_OPERATORS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (COLLECTIVE, r"^(nccl|c10d|record_param_comms)"),
        (ATTENTION, r"scaled_dot_product|flash_attn|_efficient_attention|paged_attention|fmha"),
        (CONVOLUTION, r"conv(?!ert)"),
        (
            GEMM,
            r"::_?(addmm|mm|bmm|baddbmm|matmul|linear|addmv|mv|dot|einsum|scaled_mm|int_mm)|gemm",
        ),
        (REDUCTION, r"softmax|norm|::(sum|mean|amax|max|min|argmax|topk|sort|cumsum)$|pool"),
        (
            POINTWISE,
            (
                r"::(add|sub|mul|div|pow|gelu|silu|relu|sigmoid|tanh|exp|where|neg|clamp|cat|embedding|"
                r"index|index_select|gather|scatter|fill|zero|masked_fill|dropout)_?$|leaky_relu|hardtanh"
            ),
        ),
        (COPY, r"::(copy|_to_copy|clone|contiguous)_?$"),
    )
)
COMPUTING = frozenset({GEMM, ATTENTION, CONVOLUTION})
# What reads and writes every byte for little arithmetic.
STREAMING = frozenset({POINTWISE, REDUCTION, COPY})

_PRECISIONS = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("fp8", r"e4m3|e5m2|fp8|float8|qmma"),
        ("int8", r"(?<![a-z0-9])s8(?![0-9])|int8|imma|i8i8|w8a8"),
        ("bf16", r"bf16|bfloat16|nv_bfloat"),
        ("tf32", r"tf32|(?<!fp16_)s1688gemm_(?!fp?16)|s1688tf"),
        ("fp16", r"fp16|f16|hgemm|half|h884|h1688|h16816|s884gemm|s16816gemm|s1688gemm_fp16"),
        ("fp64", r"dgemm|f64|double"),
        ("fp32", r"sgemm|f32|float"),
    )
)
_TYPES = {
    "float": "fp32",
    "double": "fp64",
    "c10::half": "fp16",
    "c10::bfloat16": "bf16",
    "signed char": "int8",
    "unsigned char": "int8",
    "c10::qint8": "int8",
    "c10::float8_e4m3fn": "fp8",
    "c10::float8_e5m2": "fp8",
}
_LEFT_AND_RIGHT = 2
_BYTES = {"fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1}

# FLOP per byte at which a device changes from memory-bound to compute-bound: least and most over
# the dense peaks that the data sheets of T4, V100, A10, A30, A100, L4, L40S, H100, H200 and B200
# give. Between the two the name of the device would have to decide, and no verdict is given.
RIDGE = {
    "fp32": (9.0, 110.0),
    "tf32": (58.0, 212.0),
    "fp16": (117.0, 419.0),
    "bf16": (117.0, 419.0),
    "int8": (233.0, 848.0),
    "fp8": (233.0, 848.0),
}

SYNCHRONISING_CALLS = frozenset(
    {
        "cudaDeviceSynchronize",
        "cudaStreamSynchronize",
        "cudaEventSynchronize",
        "cuStreamSynchronize",
        "cuCtxSynchronize",
        "cudaMemcpy",
        "cudaFree",
        "hipDeviceSynchronize",
        "hipStreamSynchronize",
        "hipEventSynchronize",
    }
)
# Each of them asks the device for a value, and so waits for all that was queued before.
SYNCHRONISING_OPERATORS = frozenset(
    {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero"}
)
LAUNCH = re.compile(r"^(cuda|cu|hip)(Module|Ext|Graph)?Launch", re.IGNORECASE)
DATA_WAIT = re.compile(r"^enumerate\(DataLoader\)#|DataLoader.*__next__")


def kind_of_device_event(span: Span) -> str:
    """Return the kind of a kernel or a copy."""
    return COPY if span.category != "kernel" else _first(_KERNELS, span.name)


def kind_of_operator(name: str) -> str:
    """Return the kind of an operator; wrappers such as views are `other`."""
    return _first(_OPERATORS, name)


def precision_of_types(types: tuple[str, ...]) -> str | None:
    """Return the precision of an operator's tensors: the narrowest input; None when not told."""
    found = {_TYPES[one.lower()] for one in types if one.lower() in _TYPES}
    return min(found, key=lambda name: (_BYTES[name], name), default=None)


def precision_of_kernel(name: str) -> str | None:
    """Return the precision in a kernel's name; None when the name does not tell."""
    for precision, pattern in _PRECISIONS:
        if pattern.search(name):
            return precision
    return None


def intensity(span: Span) -> float | None:
    """Return FLOP per byte of a matrix product by its shapes, at one read and write of each matrix.

    That is the upper bound of the roofline model (Williams et al. 2009); None without shapes.
    """
    precision = precision_of_types(span.types)
    matrices = [dims for dims in span.dims if len(dims) in (2, 3)]
    if precision is None or len(matrices) < _LEFT_AND_RIGHT:
        return None
    left, right = matrices[-2:] if "mm" in span.name else matrices[:2]
    inner = left[-1]
    rows = prod(left) // max(inner, 1)
    # `linear` keeps its weight as (out, in), `mm` its right side as (in, out).
    columns = right[-1] if right[-2] == inner else right[-2]
    values = prod(left) + prod(right) + rows * columns
    return 2.0 * rows * inner * columns / (values * _BYTES[precision]) if values else None


def _first(table: tuple[tuple[str, re.Pattern[str]], ...], name: str) -> str:
    for kind, pattern in table:
        if pattern.search(name):
            return kind
    return OTHER
