"""Mutants of what gate and watch mean for a trial."""

from tests.scenario.mutation import Mutant

_DEVICES = "tests/scenario/test_trial_devices.py::"
_BEFORE = f"{_DEVICES}test_a_device_that_is_sick_or_shared_before_is_never_a_slow_configuration"
_DURING = f"{_DEVICES}test_what_happens_to_the_device_under_load_voids_the_figures"
_BLIND = f"{_DEVICES}test_what_nobody_could_see_is_told_and_rejects_nothing"
_IDLE = f"{_DEVICES}test_a_slow_server_whose_device_was_idle_is_void_and_not_slow"
_KEPT = f"{_DEVICES}test_an_idle_device_is_told_and_a_promise_kept_without_it_still_counts"

ROWS = (
    Mutant(
        "a sick device is not the candidate's crash",
        "core.trials:_server_ending",
        "held_back(server, spec) or ",
        "",
        _BEFORE,
    ),
    Mutant(
        "a device that fell sick under load voids the figures",
        "core.device_gate:with_devices",
        "verdict.ending is not None",
        "False",
        _DURING,
    ),
    Mutant(
        "sharing explains the rest",
        "core.device_gate:_against",
        "bad.sort(key=lambda finding: finding.code not in _SHARING)",
        "",
        _DURING,
    ),
    Mutant(
        "what nobody saw voids nothing",
        "core.device_gate:_unknown",
        'spec.probes.gpu_check == "Required"',
        "True",
        _BLIND,
    ),
    Mutant(
        "slow without its device is not slow",
        "core.device_gate:with_devices",
        "record.knee_rate is None",
        "False",
        _IDLE,
    ),
    Mutant(
        "a promise kept without the device stands",
        "core.device_gate:with_devices",
        " and record.knee_rate is None",
        "",
        _KEPT,
    ),
)
