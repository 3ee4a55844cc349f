"""The codes of the benchmark's findings.

It must not hold a bound: those stand beside the judgement that uses them. Trade-off: one code per
question, with the verdict saying how it was answered, so that an alert needs one name.
"""

from infertune_probes.contract.codes import Code

NUMPY_MISSING = Code(
    "NUMPY_MISSING",
    "There is no numpy here, so nothing can be multiplied.",
    "use an image with the `probes` extra",
)
BENCHMARK_MEASURED = Code(
    "BENCHMARK_MEASURED", "Products were measured and are right; the figures are in `result`.", ""
)
RESULT_WRONG = Code(
    "RESULT_WRONG",
    "A product differs from the one in float64 by more than rounding explains.",
    "do not trust this device; test its memory",
)
NOT_SETTLED = Code(
    "NOT_SETTLED",
    "Three medians in a row never agreed within 1 %.",
    "another process shares the device, or its clock moves; run longer (`--seconds`)",
)
SIZES_LEFT_OUT = Code(
    "SIZES_LEFT_OUT",
    "Sizes or number types were not measured for want of time, memory or support.",
    "raise `--seconds`, give the pod more memory, or name smaller `--sizes`",
)
GEMM_SHARE = Code(
    "GEMM_SHARE",
    "How much of the published peak the matrix product reaches (pass from 70 %, warn from 55 %).",
    "run the gpu probe under load: clocks, power limit and other processes; then drain the node",
)
COPY_SHARE = Code(
    "COPY_SHARE",
    "How much of the published memory bandwidth a copy reaches (pass from 80 %, warn from 65 %).",
    "look for remapped rows and ECC errors with the gpu probe; then drain the node",
)
PEAK_UNKNOWN = Code(
    "PEAK_UNKNOWN",
    "The table of published peaks does not know this device, so nothing was compared with it.",
    "compare nodes of the same kind: `python -m infertune_probes.benchmark compare FILE...`",
)
CORES_GRANTED = Code(
    "CORES_GRANTED",
    "How much processor time the threads really got, against what was promised.",
    "raise `resources.requests.cpu`, or move other work off the node",
)
BALANCE = Code(
    "BALANCE",
    "How even devices or nodes of one kind are: mean over fastest (warn below 0.9).",
    "the slowest bounds a server that spreads one model over all; replace or drain it",
)
STRAGGLER = Code(
    "STRAGGLER",
    "A device or node is slower than its fleet by more than the fleet's own spread.",
    "run the gpu probe there, and drain it",
)
FLEET_EVEN = Code("FLEET_EVEN", "No device or node of its kind is slower than the others.", "")
NOTHING_TO_COMPARE = Code(
    "NOTHING_TO_COMPARE",
    "No two results were of the same kind of device with a figure in common.",
    "give results of two or more nodes with the same device, measured with the same sizes",
)
OVERHEAD = Code(
    "OVERHEAD",
    "How much slower the same work is under the container's CPU limit (warn 3 %, fail 15 %).",
    "a whole number of CPUs as `resources.limits.cpu`, or no CPU limit",
)
OVERHEAD_UNKNOWN = Code(
    "OVERHEAD_UNKNOWN",
    "What the limit costs could not be measured here.",
    "run it where a child control group may be made (root, writable /sys/fs/cgroup)",
)
STARTUP_SPLIT = Code(
    "STARTUP_SPLIT",
    "How the time to the first answer splits into pulling, starting, loading and answering.",
    "",
)
IMAGE_DEVEL = Code(
    "IMAGE_DEVEL",
    "The server's image is built on a `-devel` base: compilers and headers nobody runs.",
    "build on the `-runtime` base of the same version",
)

CATALOGUE = (
    NUMPY_MISSING,
    BENCHMARK_MEASURED,
    RESULT_WRONG,
    NOT_SETTLED,
    SIZES_LEFT_OUT,
    GEMM_SHARE,
    COPY_SHARE,
    PEAK_UNKNOWN,
    CORES_GRANTED,
    BALANCE,
    STRAGGLER,
    FLEET_EVEN,
    NOTHING_TO_COMPARE,
    OVERHEAD,
    OVERHEAD_UNKNOWN,
    STARTUP_SPLIT,
    IMAGE_DEVEL,
)
