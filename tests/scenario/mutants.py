"""The table of mutants: each precondition of a write, how it is taken out, and who notices.

A precondition that is new in one of the ``GUARDED`` functions, or a new ``FieldExpectation``, needs
a row here: ``test_mutants`` compares the table with the branches of the code.
"""

from tests.scenario import (
    mutants_of_decisions,
    mutants_of_devices,
    mutants_of_loans,
    mutants_of_sending,
)

_ROWS = (
    *mutants_of_sending.ROWS,
    *mutants_of_decisions.ROWS,
    *mutants_of_loans.ROWS,
    *mutants_of_devices.ROWS,
)
MUTANTS = {mutant.name: mutant for mutant in _ROWS}
GUARDED = (
    "adapters.kube.writes:KubeWriter.create_object",
    "adapters.kube.writes:KubeWriter.delete_object",
    "adapters.kube.writes:KubeWriter._release_once",
    "adapters.kube.writes:KubeWriter._apply_once",
    "adapters.kube.writes:_repeat",
    "adapters.kube.writes:refuse_other_object",
    "adapters.kube.writes:refuse_foreign",
    "adapters.kube.cluster:KubeCluster.set_finalizer",
    "core.preconditions:check",
    "core.preconditions:read_field",
    "core.preconditions:_named",
    "core.argument_lists:completed_list",
    "core.writes:next_write",
    "core.writes:settling_writes",
    "core.writes:_scale_of",
    "core.writes:_our_autoscaler",
    "core.release:release_patch",
    "core.states.applying:applying",
    "core.states.applying:rolling_back",
    "core.states.settled:closing_writes",
)
# Branches of guarded functions that are no precondition of their own, with the reason.
BRANCHES = {
    ("adapters.kube.writes:KubeWriter._release_once", "patch is None"): "its body is a mutant",
    ("adapters.kube.cluster:KubeCluster.set_finalizer", "present"): "both its sides are wanted",
    ("core.preconditions:read_field", "node is None"): "its body is a mutant",
    ("core.preconditions:read_field", "part.startswith('name=')"): "how a path is walked",
    ("core.preconditions:read_field", "isinstance(node, Mapping)"): "its other side is a mutant",
    (
        "core.preconditions:read_field",
        "part == 'value'",
    ): "the API server leaves an empty value out",
    ("core.argument_lists:completed_list", "isinstance(found, tuple)"): "absent: no tokens",
    ("core.argument_lists:completed_list", "isinstance(old, ArgumentList)"): "absent: no others",
    ("core.preconditions:_named", "items"): "how a path is walked",
    ("core.release:release_patch", "effect.keep"): "its value is a mutant",
    ("core.writes:next_write", "_record_is_left(intent, live.target, back=back)"): (
        "not proven: no test fails without it; docs/safety.md says so"
    ),
    ("core.states.applying:applying", "isinstance(step, Write)"): "the step itself",
    ("core.states.applying:applying", "isinstance(step, AllWritten)"): "the step itself",
    ("core.states.applying:rolling_back", "conflict(context)"): "its body is a mutant",
    ("core.states.applying:rolling_back", "isinstance(step, Write)"): "the step itself",
    ("core.states.applying:rolling_back", "not isinstance(step, AllWritten)"): "the step itself",
}
# Expectations without a mutant, each with the reason; docs/safety.md names them as not proven.
UNTRIED = {
    "FieldExpectation(('spec', 'minReplicas'), before.min_replicas, after.min_replicas)": (
        "yielded by adoption, where leaving it out of the yield is a mutant"
    ),
    "FieldExpectation(('spec', 'maxReplicas'), before.max_replicas, after.max_replicas)": (
        "yielded by adoption, where leaving it out of the yield is a mutant"
    ),
    "FieldExpectation(('spec', name), None, None)": "only names fields, expects no value",
}
