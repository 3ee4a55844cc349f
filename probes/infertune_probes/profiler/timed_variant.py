"""The child that times one change of the call against the call as it is: `... REQUEST FOLDER`.

Imports torch and the user's model, writes `variant.json`; it must not judge. Trade-off: first the
plain calls, then the changed ones in the same process, since a layout is changed in place; answers
are compared too, because a faster call that says something else is no gain.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infertune_probes.profiler.capture import choose_device, timed
from infertune_probes.workload.entry import EntryUnusable, build
from infertune_probes.workload.samples import Maker, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

# Compilation and autotuning happen in the first calls.
_WARMUP = 3
_IMAGE_DIMENSIONS = 4


def main(request_file: str, folder: str) -> None:
    """Time the variant that the request names; an error of the model itself ends this process."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    import torch

    try:
        told = _compared(torch, request)
    except EntryUnusable as error:
        told = {"note": str(error)}
    (Path(folder) / "variant.json").write_text(json.dumps(told), encoding="utf-8")


def _compared(torch: Any, request: dict[str, Any]) -> dict[str, object]:  # noqa: ANN401  # a module
    device = choose_device(torch, request["device"])
    called = build(request.get("entry"), request.get("factory"))
    if hasattr(called, "to") and hasattr(called, "parameters"):
        called = called.to(device)
    sample = Maker(torch, request.get("input"), device).make(request.get("batch"))
    times = request["calls"]
    for _ in range(_WARMUP):
        plain = called(*sample.args, **sample.kwargs)
    before = timed(torch, device, called, sample, times)
    changed, sample = _CHANGES[request["variant"]](torch, device, called, sample)
    for _ in range(_WARMUP):
        answer = changed(*sample.args, **sample.kwargs)
    after = timed(torch, device, changed, sample, times)
    return {
        "baselineMs": sorted(before)[len(before) // 2],
        "medianMs": sorted(after)[len(after) // 2],
        "difference": _difference(plain, answer),
    }


def _inference_mode(
    torch: Any,  # noqa: ANN401  # a module
    _device: str,
    called: Callable[..., Any],
    sample: Sample,
) -> tuple[Callable[..., Any], Sample]:
    def inside(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # whatever the model takes
        with torch.inference_mode():
            return called(*args, **kwargs)

    return inside, sample


def _autocast(
    torch: Any,  # noqa: ANN401  # a module
    device: str,
    called: Callable[..., Any],
    sample: Sample,
) -> tuple[Callable[..., Any], Sample]:
    def inside(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # whatever the model takes
        with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
            return called(*args, **kwargs)

    return inside, sample


def _compiled(
    torch: Any,  # noqa: ANN401  # a module
    device: str,
    called: Callable[..., Any],
    sample: Sample,
) -> tuple[Callable[..., Any], Sample]:
    if not hasattr(torch, "compile"):
        msg = "this torch has no torch.compile"
        raise EntryUnusable(msg)
    return _inference_mode(torch, device, torch.compile(called), sample)


def _channels_last(
    torch: Any,  # noqa: ANN401  # a module
    device: str,
    called: Callable[..., Any],
    sample: Sample,
) -> tuple[Callable[..., Any], Sample]:
    images = [one for one in sample.args if getattr(one, "ndim", 0) == _IMAGE_DIMENSIONS]
    if not hasattr(called, "parameters") or not images:
        msg = "needs a module (--factory) and an input of four dimensions"
        raise EntryUnusable(msg)
    layout = torch.channels_last
    args = tuple(
        one.to(memory_format=layout) if getattr(one, "ndim", 0) == _IMAGE_DIMENSIONS else one
        for one in sample.args
    )
    module: Any = called
    turned = Sample(args, sample.kwargs)
    return _inference_mode(torch, device, module.to(memory_format=layout), turned)


_CHANGES = {
    "inference_mode": _inference_mode,
    "bf16_autocast": _autocast,
    "torch_compile": _compiled,
    "channels_last": _channels_last,
}


def _difference(plain: Any, answer: Any) -> float | None:  # noqa: ANN401  # what the model returned
    """Return the largest difference, as a share of the largest value; None: not comparable."""
    if not hasattr(plain, "double") or not hasattr(answer, "double"):
        return None
    if plain.shape != answer.shape or not plain.numel():
        return None
    expected = plain.detach().double()
    scale = float(expected.abs().max())
    furthest = float((answer.detach().double() - expected).abs().max())
    share = furthest / scale if scale else furthest
    # An answer with NaN in it cannot be compared, and NaN cannot travel.
    return share if math.isfinite(share) else None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
