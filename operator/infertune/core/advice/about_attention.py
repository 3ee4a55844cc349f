"""Advice about attention: fused kernels, shorter or local context.

Role: what of a call grows with the square of the context. Must not know: caches, which are memory.
Trade-off: speed-ups of fused attention come from its paper and not from this node, so their
sureness is low.
"""

from collections.abc import Iterator

from infertune.core.advice.gains import Gain, amdahl
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Evidence
from infertune_probes.contract.profiler_result import ProfilerResult

_LEAST_SHARE = 0.15
_FUSED = ("flash", "fmha", "efficient_attention", "paged_attention", "cudnn_attention")
# Dao et al. 2022 (arXiv 2205.14135), figure 3: 2 to 4 times against attention in plain operators.
_PAPER = (2.0, 4.0)


def about_attention(evidence: Evidence) -> Iterator[Advice]:
    """Yield what the share of attention in a profile speaks for."""
    profile = evidence.profile
    if profile is None or profile.shares is None:
        return
    share = profile.kinds.get("attention", 0.0) * profile.shares.work
    if share < _LEAST_SHARE:
        return
    told = f"attention is {share:.0%} of a call"
    fused = _fused(profile)
    if not fused and profile.on_device:
        low, high = _PAPER
        yield Advice(
            "FlashAttention",
            "use the fused kernel: torch.nn.functional.scaled_dot_product_attention, or "
            "attn_implementation='flash_attention_2' (transformers)",
            f"{told}, in kernels of which none is a fused one",
            Gain(
                amdahl(share, low),
                amdahl(share, high),
                f"{share:.0%} of a call becomes {low:g} to {high:g} times faster",
                "the speed-up of the paper (arXiv 2205.14135), not measured here",
            ),
            "low",
            "new image",
            "needs FP16 or BF16 and a head size that the kernel knows",
        )
    yield Advice(
        "shorter context",
        "cut prompts, or the window of the model (sliding window, local attention)",
        f"{told}{' in fused kernels' if fused else ''}; it grows with the square of the context",
        Gain(
            1.0,
            amdahl(share, 4.0),
            f"half the context makes {share:.0%} of a call up to 4 times faster",
            "the work of attention grows with the square of the context",
        ),
        "low",
        "config line",
        "what is cut off is not answered from; a sliding window needs a model trained with it",
    )


def _fused(profile: ProfilerResult) -> bool:
    names = [row.name.lower() for table in profile.tables for row in table.rows]
    return any(word in name for name in names for word in _FUSED)
