"""What the memory probe can find.

It must not know how a finding comes about. Trade-off: fixes name the variable of PyTorch's
allocator; a server that manages its own pool (vLLM, SGLang) has a flag of its own for the same.
"""

from __future__ import annotations

from infertune_probes.contract.codes import Code

MEMORY_MEASURED = Code(
    "MEMORY_MEASURED", "The peak of memory was measured by batch size; the steps are in `result`."
)
MEMORY_NOT_MEASURED = Code(
    "MEMORY_NOT_MEASURED",
    "No batch could be tried, so nothing is said about memory.",
    "read the reason, then run `python -m infertune_probes.memory` by hand in the same image",
)
DEVICE_SHARED = Code(
    "DEVICE_SHARED",
    "Other processes are on the device, or nobody can tell, so it was not filled.",
    "run the probe on an idle device of its own (a Job with nvidia.com/gpu: 1)",
)
BATCH_RUNS_OUT = Code(
    "BATCH_RUNS_OUT",
    "The batch at which memory runs out was found.",
    "keep the batch size below the one at which 85 % of the memory is used",
)
BATCH_HAS_ROOM = Code(
    "BATCH_HAS_ROOM", "Memory did not run out up to the largest batch that was allowed."
)
BATCH_TOO_LARGE = Code(
    "BATCH_TOO_LARGE",
    "The serving batch takes more than 85 % of the memory, or does not fit at all.",
    "set the batch size to the largest one below 85 %",
)
FRAGMENTED = Code(
    "FRAGMENTED",
    "The allocator holds memory that no tensor uses: 25 % or more of what it reserved.",
    "set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
)
NOT_FRAGMENTED = Code(
    "NOT_FRAGMENTED", "Less than 25 % of the reserved memory was unused at the peak; 8 % is good."
)
ALLOCATOR_SETTING_PAYS = Code(
    "ALLOCATOR_SETTING_PAYS",
    "A setting of the allocator saved memory on this model without costing time.",
    "set the named value of PYTORCH_CUDA_ALLOC_CONF in the server's environment",
)
ALLOCATOR_DEFAULT_GOOD = Code(
    "ALLOCATOR_DEFAULT_GOOD",
    "No setting of the allocator that was tried is better than its default.",
)
ALLOCATOR_NOT_TRIED = Code(
    "ALLOCATOR_NOT_TRIED",
    "The allocator's settings were not compared.",
    "give it more time (--deadline-seconds), or a smaller --most",
)
EMPTY_CACHE_HURTS = Code(
    "EMPTY_CACHE_HURTS",
    "torch.cuda.empty_cache() after each batch costs time and brings nothing.",
    "remove torch.cuda.empty_cache() from the serving path",
)
EMPTY_CACHE_HELPS = Code(
    "EMPTY_CACHE_HELPS",
    "torch.cuda.empty_cache() lowered the reserved memory without costing time.",
    "call torch.cuda.empty_cache() after load peaks, never after each request",
)

CATALOGUE = (
    MEMORY_MEASURED,
    MEMORY_NOT_MEASURED,
    DEVICE_SHARED,
    BATCH_RUNS_OUT,
    BATCH_HAS_ROOM,
    BATCH_TOO_LARGE,
    FRAGMENTED,
    NOT_FRAGMENTED,
    ALLOCATOR_SETTING_PAYS,
    ALLOCATOR_DEFAULT_GOOD,
    ALLOCATOR_NOT_TRIED,
    EMPTY_CACHE_HURTS,
    EMPTY_CACHE_HELPS,
)
