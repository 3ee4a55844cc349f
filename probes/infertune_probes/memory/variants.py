"""Which allocator settings pay, by trying them: the same mixed batches under each.

Pure: a function of what was measured. It must not run anything. Trade-off: three settings and
`empty_cache`, each in a process of its own, because the allocator reads its settings once; a
difference below 5 % is noise and no advice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.memory.search import Step

DEFAULT = "default"
EMPTY_CACHE = "empty_cache"
# Name, PYTORCH_CUDA_ALLOC_CONF, whether the cache is emptied after each batch.
TRIED: tuple[tuple[str, str | None, bool], ...] = (
    (DEFAULT, None, False),
    ("expandable_segments", "expandable_segments:True", False),
    ("max_split_size_mb", "max_split_size_mb:128", False),
    (EMPTY_CACHE, None, True),
)
_WORTH = 0.05


class Variant(NamedTuple):
    """One setting, and how the mixed batches went under it."""

    name: str
    setting: str | None
    step: Step


class Comparison(NamedTuple):
    """A variant against the default: shares saved (memory) and lost (time); negative: worse."""

    variant: Variant
    memory_saved: float
    time_lost: float

    @property
    def pays(self) -> bool:
        """Whether it saves memory and does not cost time beyond noise."""
        return self.memory_saved >= _WORTH and self.time_lost < _WORTH

    @property
    def hurts(self) -> bool:
        """Whether it costs time or memory without giving the other."""
        return not self.pays and (self.time_lost >= _WORTH or self.memory_saved <= -_WORTH)


def compare(variants: Sequence[Variant]) -> list[Comparison]:
    """Return each variant that was measured against the default; empty without a default."""
    base = next((one.step for one in variants if one.name == DEFAULT), None)
    if base is None or not base.reserved or not base.call_ms:
        return []
    return [
        Comparison(
            one,
            1.0 - one.step.reserved / base.reserved,
            one.step.call_ms / base.call_ms - 1.0,
        )
        for one in variants
        if one.name != DEFAULT and one.step.reserved and one.step.call_ms
    ]


def mixed(batch: int) -> list[int]:
    """Return the batches of a mixed load: sizes that do not divide each other leave holes."""
    sizes = [batch, batch // 3, batch // 2, batch // 5, batch, batch // 7, batch // 2, batch]
    return [max(1, size) for size in sizes]
