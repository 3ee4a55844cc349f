"""What the measured figures mean: right or wrong, settled or not, and how near to the peak.

Pure. It must not measure. Bands for healthy dedicated GPUs with random data: matrix product 0.70
of the dense peak passes, 0.55 warns; copy 0.80 and 0.65. Trade-off: only one number type is judged
against its peak (the first of bf16, fp16, tf32, fp32 that was measured at 4096 or more), because a
library may reach less in the others on a healthy device; their shares are told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infertune_probes.benchmark import codes
from infertune_probes.contract.envelope import measured, unmeasured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.benchmark.plan import Point, Stream
    from infertune_probes.contract.codes import Code
    from infertune_probes.contract.envelope import Finding, Measurement, Verdict
    from infertune_probes.contract.gpu_peaks import Peak

# Worst error of a correct product of random numbers, over the largest true value. Whole numbers
# are exact; fp8 is rounded on the way out to bf16.
TOLERANCE = {
    "fp32": 1e-3,
    "tf32": 1e-2,
    "fp16": 5e-2,
    "bf16": 5e-2,
    "int8": 0.0,
    "fp8": 5e-2,
}
VERDICT_SIZE = 4096
JUDGED = ("bf16", "fp16", "tf32", "fp32")
GEMM_PASS, GEMM_WARN = 0.70, 0.55
COPY_PASS, COPY_WARN = 0.80, 0.65
GRANTED_SHARE = 0.90
_UNSET = (
    "`nvidia-smi -pl <default watts>` and `nvidia-smi -rgc`, `-rac` on the node, unless it was set "
    "on purpose; then compare with devices under the same setting"
)


def with_shares(points: Sequence[Point], peaks: Peak | None) -> list[Point]:
    """Return the points with their share of the published peak; None where there is none."""
    found = []
    for point in points:
        peak = None if peaks is None else peaks.tflops(point.dtype)
        share = None if peak is None else point.gflops / 1e3 / peak
        found.append(replace(point, peak_share=share))
    return found


def findings_of(points: Sequence[Point], left_out: Sequence[str]) -> list[Finding]:
    """Return the findings of the matrix products themselves."""
    wrong = [point for point in points if not point.error <= TOLERANCE[point.dtype]]
    findings = [
        codes.RESULT_WRONG.failed(
            f"{point.dtype} product of size {point.size} is off by {point.error:.2g} of its "
            f"largest value (allowed {TOLERANCE[point.dtype]:g})"
        )
        for point in wrong
    ]
    if points and not wrong:
        best = max(points, key=lambda point: point.gflops)
        evidence = f"best {best.gflops:.1f} GFLOP/s, {best.dtype} at size {best.size}"
        findings.append(codes.BENCHMARK_MEASURED.passed(evidence))
    unsettled = ", ".join(f"{p.size} {p.dtype}" for p in points if not p.settled)
    if unsettled:
        findings.append(codes.NOT_SETTLED.warned(f"medians apart: {unsettled}"))
    if left_out:
        findings.append(codes.SIZES_LEFT_OUT.warned(f"left out: {', '.join(left_out)}"))
    return findings


def against_peak(
    device: str,
    points: Sequence[Point],
    streams: Sequence[Stream],
    peaks: Peak | None,
    setting: str | None = None,
) -> list[Finding]:
    """Return how near a GPU comes to what is published; an unknown GPU is unknown, never a pass.

    `setting`: what somebody set that held the device back; it is slow on purpose and not broken.
    """
    if peaks is None:
        return [codes.PEAK_UNKNOWN.unknown(f"no published peak for {device!r}")]
    judged = _judged_point(points)
    capped = peaks.power_capped or setting is not None
    findings = []
    if judged is None or judged.peak_share is None:
        why = f"nothing measured at {VERDICT_SIZE} or more has a published peak on {peaks.sku}"
        findings.append(codes.GEMM_SHARE.unknown(why, "name `--sizes 4096,8192`, raise --seconds"))
    else:
        verdict = band(judged.peak_share, GEMM_PASS, GEMM_WARN, capped=capped)
        evidence = (
            f"{judged.gflops / 1e3:.0f} TFLOP/s {judged.dtype} at {judged.size}: "
            f"{100 * judged.peak_share:.0f} % of {peaks.tflops(judged.dtype):g} of the {peaks.sku}"
        )
        findings.append(_shared(codes.GEMM_SHARE, verdict, evidence, peaks, setting))
    copy = next((stream for stream in streams if stream.name == "copy"), None)
    if copy is not None:
        share = copy.gigabytes_per_second / peaks.memory_gb_per_second
        verdict = band(share, COPY_PASS, COPY_WARN, capped=capped)
        evidence = (
            f"{copy.gigabytes_per_second:.0f} GB/s copied: {100 * share:.0f} % of "
            f"{peaks.memory_gb_per_second:g} of the {peaks.sku}"
        )
        findings.append(_shared(codes.COPY_SHARE, verdict, evidence, peaks, setting))
    return findings


def _judged_point(points: Sequence[Point]) -> Point | None:
    for dtype in JUDGED:
        large = [
            p
            for p in points
            if p.dtype == dtype and p.size >= VERDICT_SIZE and p.peak_share is not None
        ]
        if large:
            return max(large, key=lambda point: point.gflops)
    return None


def _shared(
    code: Code, verdict: Verdict, evidence: str, peaks: Peak, setting: str | None
) -> Finding:
    if verdict == "pass":
        return code.passed(evidence)
    if setting is not None:
        return code.found(verdict, f"{evidence}; {setting}", _UNSET)
    if peaks.power_capped:
        evidence += "; this card's power limit bounds long products, so it is no more than a hint"
    return code.found(verdict, evidence)


def band(share: float, passes: float, warns: float, *, capped: bool) -> Verdict:
    """Return the verdict of a share; what a cap holds back warns at the worst."""
    if share >= passes:
        return "pass"
    return "warn" if share >= warns or capped else "fail"


def cores_finding(granted: float | None, promised: int) -> list[Finding]:
    """Return whether the threads got the processors that affinity and limit promise."""
    if granted is None:
        return [codes.CORES_GRANTED.unknown("the processor time could not be measured")]
    evidence = f"{granted:.2f} processors' time for {promised} busy threads"
    if granted >= GRANTED_SHARE * promised:
        return [codes.CORES_GRANTED.passed(evidence)]
    return [codes.CORES_GRANTED.warned(evidence)]


def measurements_of(points: Sequence[Point]) -> list[Measurement]:
    """Return one measurement per size and the best of all."""
    if not points:
        return [unmeasured("matmul_best", "GFLOP/s", "no size was measured")]
    each = [
        measured(f"matmul_{point.size}_{point.dtype}", "GFLOP/s", point.gflops, point.repeats)
        for point in points
    ]
    best = max(points, key=lambda point: point.gflops)
    return [*each, measured("matmul_best", "GFLOP/s", best.gflops, best.repeats)]


def stream_measurements(streams: Sequence[Stream], where: str) -> list[Measurement]:
    """Return the rates; copy and triad say in whose memory, transfers which way."""
    return [
        measured(
            f"{where}_{stream.name}_bandwidth"
            if stream.name in {"copy", "triad"}
            else f"{stream.name}_bandwidth",
            "GB/s",
            stream.gigabytes_per_second,
            stream.repeats,
        )
        for stream in streams
    ]


def roofline(points: Sequence[Point], streams: Sequence[Stream]) -> dict[str, object] | None:
    """Return the measured roofline: best rate, bandwidth, and the ridge between them.

    Left of the ridge (fewer operations a byte) memory bounds, right of it the units do. Example:
    100 GFLOP/s over 20 GB/s is a ridge at 5 operations a byte. The bandwidth is the copy's.
    """
    copy = next((stream for stream in streams if stream.name == "copy"), None)
    if copy is None or not points:
        return None
    best = max(points, key=lambda point: point.gflops)
    return {
        "dtype": best.dtype,
        "gflops": best.gflops,
        "gigabytesPerSecond": copy.gigabytes_per_second,
        "ridgeFlopsPerByte": best.gflops / copy.gigabytes_per_second,
    }
