"""What the profiler probe can find.

It must not know how a finding comes about. Trade-off: a fix names the change of code or setting
that the reading points at; whether it pays is for a trial to say.
"""

from __future__ import annotations

from infertune_probes.contract.codes import Code

PROFILE_READ = Code(
    "PROFILE_READ", "A trace was captured and read; the reading and the tables are in `result`."
)
PROFILE_NOT_CAPTURED = Code(
    "PROFILE_NOT_CAPTURED",
    "No trace could be captured, so nothing is said about where the time goes.",
    "read the reason, then run `python -m infertune_probes.profiler` by hand in the same image",
)
TRACE_UNREADABLE = Code(
    "TRACE_UNREADABLE",
    "A trace was written, but it is damaged, too large or not where it was expected.",
    "profile fewer steps (--active 3), and name the server's trace folder with --trace-dir",
)
LAUNCH_BOUND = Code(
    "LAUNCH_BOUND",
    "The device waits while the host prepares the next kernel.",
    "use larger batches, CUDA graphs (vLLM: drop --enforce-eager) or torch.compile"
    '(mode="reduce-overhead")',
)
COMPUTE_BOUND = Code(
    "COMPUTE_BOUND",
    "Most of the time goes into matrix products, convolutions or attention at full width.",
    "a lower precision (bf16, int8 or fp8) or a faster device; larger batches will not help",
)
MEMORY_BOUND = Code(
    "MEMORY_BOUND",
    "Most of the time goes into reading and writing memory, not into arithmetic.",
    "use larger batches, fused kernels (torch.compile), or fewer bytes per weight (int8, fp8)",
)
COPY_BOUND = Code(
    "COPY_BOUND",
    "The device waits for copies between host and device, or between devices.",
    "use pinned memory and non_blocking=True, and keep inputs and caches on the device",
)
DEVICE_IDLE = Code(
    "DEVICE_IDLE",
    "Most of the time nothing was queued and the host was not in the model either.",
    "offer more load or a larger batch; the model is not what limits this server",
)
BOUND_UNKNOWN = Code(
    "BOUND_UNKNOWN",
    "The trace does not say clearly what the time goes into.",
    "run it again with --mode detailed",
)
AUTOGRAD_ON = Code(
    "AUTOGRAD_ON",
    "Gradients are enabled during inference.",
    "wrap the call in `with torch.inference_mode():`",
)
TRAINING_MODE = Code(
    "TRAINING_MODE",
    "A module runs in training mode during inference, so dropout and batch statistics are on.",
    "call model.eval() after loading",
)
SYNCHRONISES = Code(
    "SYNCHRONISES",
    "The inference call makes the host wait for the device in its middle.",
    "keep values on the device: no .item(), .cpu() or print of a tensor inside the call",
)
DATA_WAIT = Code(
    "DATA_WAIT",
    "The call waits for its input to be loaded.",
    "load ahead: DataLoader(num_workers=2, pin_memory=True, prefetch_factor=2)",
)
FULL_PRECISION = Code(
    "FULL_PRECISION",
    "Matrix products run in fp32 (without TF32) on a device that is much faster below it.",
    "load the model in bf16 or fp16, or set torch.set_float32_matmul_precision('high')",
)
VARIANT_PAYS = Code(
    "VARIANT_PAYS",
    "A change of the call, timed on this very model, is at least 5 % faster with the same answer.",
    "make the named change, and check the answers with golden requests",
)
PROFILE_SERVER_SILENT = Code(
    "PROFILE_SERVER_SILENT",
    "The server does not offer profiling, or did not answer.",
    'vLLM: --profiler-config \'{"profiler": "torch", "torch_profiler_dir": "/traces"}\'; '
    "SGLang: set SGLANG_TORCH_PROFILER_DIR",
)

CATALOGUE = (
    PROFILE_READ,
    PROFILE_NOT_CAPTURED,
    TRACE_UNREADABLE,
    LAUNCH_BOUND,
    COMPUTE_BOUND,
    MEMORY_BOUND,
    COPY_BOUND,
    DEVICE_IDLE,
    BOUND_UNKNOWN,
    AUTOGRAD_ON,
    TRAINING_MODE,
    SYNCHRONISES,
    DATA_WAIT,
    FULL_PRECISION,
    VARIANT_PAYS,
    PROFILE_SERVER_SILENT,
)
