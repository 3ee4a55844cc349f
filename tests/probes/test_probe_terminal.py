"""What a person sees: the same envelope, worst first, nothing rounded to nothing."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from infertune_probes.contract.emit import Sinks, emit
from infertune_probes.contract.envelope import (
    Envelope,
    Finding,
    Interval,
    measured,
    unmeasured,
)
from infertune_probes.contract.terminal import Style, Table, number, render

ENVELOPE = Envelope(
    probe="gpu",
    node="node-a",
    image=None,
    started_at="2026-11-22T10:00:00.000Z",
    finished_at="2026-11-22T10:00:01.000Z",
    host={},
    findings=(
        Finding("DEVICE_HEALTHY", "pass", "device 0 is well"),
        Finding("ECC_UNCORRECTED", "fail", "device 1: 3 errors", "drain the node"),
    ),
    measurements=(
        measured("temperature", "Cel", 41.25, 15, Interval(40.0, 42.5, 0.95)),
        unmeasured("power", "W", "NVML does not tell"),
    ),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_worst_finding_comes_first_and_a_missing_figure_says_why() -> None:
    table = Table("devices", ("id", "MiB"), (("0", "12"), ("1", "1024")))
    assert render(ENVELOPE, [table], Style(60)) == (
        "gpu on node-a: fail\n\n"
        "fail    ECC_UNCORRECTED: device 1: 3 errors\n"
        "        fix: drain the node\n\n"
        "pass    DEVICE_HEALTHY: device 0 is well\n\n"
        "measurement  value  unit   n\n"
        "temperature  41.25  Cel   15  [40, 42.5; 95 %]\n"
        "power            -  W      0  NVML does not tell\n\n"
        "devices\n"
        "id   MiB\n"
        " 0    12\n"
        " 1  1024\n"
    )


def test_of_many_findings_alike_the_first_few_are_in_words() -> None:
    alike = tuple(Finding("NVLINK_DOWN", "warn", f"device {n}", "look") for n in range(16))
    other = Finding("NVLINK_DOWN", "fail", "device 16", "drain it")
    shown = render(replace(ENVELOPE, findings=(*alike, other), measurements=()), [], Style(80))
    words = [line for line in shown.splitlines() if "NVLINK_DOWN" in line]
    assert words == [
        "fail    NVLINK_DOWN: device 16",
        *(f"warn    NVLINK_DOWN: device {n}" for n in range(3)),
        "warn    NVLINK_DOWN: 13 more, all of them in --output",
    ]


def test_a_long_reason_is_folded_in_its_own_column() -> None:
    table = Table(
        "libraries",
        ("what", "version", "from"),
        (("cudnn", "-", "the loader finds no libcudnn.so.9"), ("python", "3.12", "it runs")),
    )
    nothing = replace(ENVELOPE, findings=(), measurements=())
    assert render(nothing, [table], Style(40)) == (
        "gpu on node-a: unknown\n\n"
        "libraries\n"
        "what    version  from\n"
        "cudnn         -  the loader finds no\n"
        "                 libcudnn.so.9\n"
        "python     3.12  it runs\n"
    )


def test_a_long_line_is_folded_under_its_own_indent() -> None:
    long = Finding("CODE", "warn", "one two three four five six seven", "eight nine ten eleven")
    shown = render(Envelope("gpu", "n", None, "", "", {}, findings=(long,)), [], Style(32))
    assert shown == (
        "gpu on n: warn\n\n"
        "warn    CODE: one two three four\n"
        "        five six seven\n"
        "        fix: eight nine ten\n"
        "             eleven\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1234567"),
        (0.000012345, "1.234e-05"),
        (12345.6, "12346"),
        (3.14159, "3.142"),
    ],
)
def test_numbers_are_short_and_stay_readable(value: float, text: str) -> None:
    assert number(value) == text


def test_only_a_terminal_gets_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        emit(ENVELOPE, Sinks(None, "/nonexistent/termination-log"), stream)
    assert terminal.getvalue().startswith("gpu on node-a: fail\n")
    assert "\033[" not in terminal.getvalue()
    assert pipe.getvalue().startswith("\n-----BEGIN INFERTUNE RESULT ")
