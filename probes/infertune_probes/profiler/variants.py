"""Which changes of the call pay on this very model: each is timed in a process of its own.

It must not import torch. Trade-off: a variant that fails or takes too long is told with its reason
and judged by nobody; a gain below 5 %, or an answer more than 2 % off, is none.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from infertune_probes.contract.child import ask
from infertune_probes.profiler import codes

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from infertune_probes.contract.envelope import Finding

NAMES = ("inference_mode", "bf16_autocast", "torch_compile", "channels_last")
CALLS = 20
_WORTH = 0.05
_MOST_DIFFERENT = 0.02
_FIXES = {
    "inference_mode": "wrap the call in `with torch.inference_mode():`",
    "bf16_autocast": "wrap the call in `with torch.autocast(device, dtype=torch.bfloat16):`",
    "torch_compile": "model = torch.compile(model)",
    "channels_last": "model.to(memory_format=torch.channels_last), and the input likewise",
}


class Variant(NamedTuple):
    """One change of the call: medians of `calls` calls each; None and a note: it did not run."""

    name: str
    calls: int
    median_ms: float | None = None
    baseline_ms: float | None = None
    difference: float | None = None
    note: str | None = None

    @property
    def gain(self) -> float | None:
        """The share of time saved; negative: slower."""
        if self.median_ms is None or not self.baseline_ms:
            return None
        return 1.0 - self.median_ms / self.baseline_ms

    @property
    def pays(self) -> bool:
        """Whether it is clearly faster and known to say the same."""
        gain, off = self.gain, self.difference
        return gain is not None and gain >= _WORTH and off is not None and off <= _MOST_DIFFERENT


def time_variants(arguments: argparse.Namespace, folder: Path, seconds: float) -> list[Variant]:
    """Return all variants; ``seconds`` is for all of them together, in equal parts."""
    return [_timed(arguments, folder, name, seconds / len(NAMES)) for name in NAMES]


def _timed(arguments: argparse.Namespace, folder: Path, name: str, seconds: float) -> Variant:
    answer = folder / "variant.json"
    if answer.exists():
        answer.unlink()
    request = {
        key: getattr(arguments, key) for key in ("entry", "factory", "input", "batch", "device")
    }
    path = folder / "variant-request.json"
    path.write_text(json.dumps({**request, "variant": name, "calls": CALLS}), encoding="utf-8")
    module = "infertune_probes.profiler.timed_variant"
    heard = ask([sys.executable, "-m", module, str(path), str(folder)], seconds)
    if heard.text is None:
        return Variant(name, CALLS, note=(heard.reason or "no reason given")[:500])
    told = json.loads(answer.read_text(encoding="utf-8"))
    return Variant(
        name,
        CALLS,
        told.get("medianMs"),
        told.get("baselineMs"),
        told.get("difference"),
        told.get("note"),
    )


def judge_variants(variants: list[Variant]) -> list[Finding]:
    """Return a finding for each variant that pays."""
    return [
        codes.VARIANT_PAYS.warned(
            f"{one.name}: {one.median_ms:.3g} ms instead of {one.baseline_ms:.3g} ms "
            f"({one.gain:.0%} less, answers differ by {one.difference:.2g} of the largest value, "
            f"n = {one.calls})",
            _FIXES[one.name],
        )
        for one in variants
        if one.pays
    ]


def section(variants: list[Variant]) -> list[dict[str, object]]:
    """Return the variants for the result section."""
    return [
        {
            "name": one.name,
            "calls": one.calls,
            "medianMs": one.median_ms,
            "baselineMs": one.baseline_ms,
            "difference": one.difference,
            "note": one.note,
        }
        for one in variants
    ]
