"""Advice about the model itself: merged adapters, smaller models.

Role: what remains where the device's arithmetic is what costs. Must not know: how a model is
trained. Trade-off: no figure is given for distillation or pruning, because nothing here measures
what a smaller model would answer.
"""

from collections.abc import Iterator

from infertune.core.advice.bottleneck import Bottleneck
from infertune.core.advice.gains import Gain, amdahl, without
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Evidence

_BOUND_BY_DEVICE = 0.5
_NARROW = frozenset({"bf16", "fp16", "int8", "fp8"})
_ADAPTERS = ("lora_a", "lora_b", "bgmv", "sgmv")
_LEAST_ADAPTER = 0.02


def about_model(evidence: Evidence, bottleneck: Bottleneck) -> Iterator[Advice]:
    """Yield advice about the weights."""
    yield from _adapters(evidence)
    profile = evidence.profile
    if (
        profile is None
        or bottleneck.share("gpu compute", "gpu memory bandwidth") < _BOUND_BY_DEVICE
    ):
        return
    narrow = sum(share for dtype, share in profile.precisions.items() if dtype in _NARROW)
    if narrow < _BOUND_BY_DEVICE:
        # Narrower numbers come first; they take less.
        return
    work = bottleneck.share("gpu compute", "gpu memory bandwidth")
    for technique, action in (
        ("distillation", "train a smaller model on the answers of this one, and serve that"),
        ("structured pruning", "remove heads or channels, train briefly, and serve that"),
    ):
        yield Advice(
            technique,
            action,
            f"{work:.0%} of a call is the device's own, already in {', '.join(profile.precisions)}",
            Gain(
                1.0,
                amdahl(min(work, 1.0), 2.0),
                f"half the arithmetic makes {work:.0%} of a call 2 times faster",
                "a model of half the size answers well enough",
            ),
            "low",
            "retraining",
            "quality: hold it against golden requests or a score command",
        )


def _adapters(evidence: Evidence) -> Iterator[Advice]:
    profile = evidence.profile
    if profile is None:
        return
    for table in profile.tables:
        if table.name not in {"modules", "kernels", "operators"}:
            continue
        share = sum(
            row.share for row in table.rows if any(word in row.name.lower() for word in _ADAPTERS)
        )
        # Of the time of all kernels; of a call it is less where the device also waits.
        of_call = share if profile.shares is None else share * profile.shares.work
        if share >= _LEAST_ADAPTER:
            yield Advice(
                "merge LoRA",
                "merge the adapter into the weights before serving: model.merge_and_unload()",
                f"{share:.0%} of the time of all {table.name} is adapters",
                Gain(1.0, without(of_call), "the adapters' own time goes away"),
                "medium",
                "new image",
                "one server then serves one adapter",
            )
            return
