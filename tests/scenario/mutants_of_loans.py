"""Mutants of a loan, and of bounds at rest: what is expected of them before anything follows."""

from tests.scenario.mutation import Mutant

_BETWEEN = "::test_bounds_that_somebody_sets_right_before_the_write_stay"
ROWS = (
    Mutant(
        "a minimum taken back is noticed",
        "core.standing:_bounds",
        'FieldExpectation(("spec", "minReplicas"), after.min_replicas, after.min_replicas),',
        "",
        "tests/unit/core/test_standing.py",
    ),
    Mutant(
        "the minimum of a loan is expected",
        "core.manifests.apply_documents:bounds_expectations",
        'FieldExpectation(("spec", "minReplicas"), old.min_replicas, new.min_replicas),',
        "",
        f"tests/unit/core/test_loan_record.py{_BETWEEN}",
    ),
    Mutant(
        "the maximum of a loan is expected",
        "core.manifests.apply_documents:bounds_expectations",
        'FieldExpectation(("spec", "maxReplicas"), old.max_replicas, new.max_replicas),',
        "",
        f"tests/unit/core/test_loan_record.py{_BETWEEN}",
    ),
    Mutant(
        "the note of a loan is expected",
        "core.loan_record:_noting",
        "(FieldExpectation(PATH, _noted(lender), text),)",
        "()",
        "tests/unit/core/test_loan_record.py::test_the_note_goes_and_only_where_there_is_one",
    ),
    Mutant(
        "a loan is noted before it is made",
        "core.states.lending:_lower",
        "(note_loan(context.tuning, lent, lender), lend(context.key, lent, lender))",
        "(lend(context.key, lent, lender),)",
        "tests/unit/core/test_borrowing.py::test_a_loan_is_recorded_then_held_then_lowered_and_only_then_is_anything_tried",
    ),
    Mutant(
        "the return of a loan expects the note that tells of it",
        "core.loan_return:ways_back",
        "expectations=(*back.expectations, FieldExpectation(PATH, text, text))",
        "expectations=back.expectations",
        "tests/unit/core/test_loan_return.py::test_bounds_without_their_note_are_somebodys_wish",
    ),
    Mutant(
        "bounds that somebody has set are not returned",
        "core.loan_return:ways_back",
        'if standing(lent, found.raw) == "During" else None',
        "",
        "tests/unit/core/test_loan_return.py::test_what_somebody_has_set_meanwhile_stays_and_the_note_goes",
    ),
    Mutant(
        "the note of a loan goes last",
        "core.loan_return:ways_back",
        "(back, give_up(key, lent), drop_note(key, lent, found.raw))",
        "(back, drop_note(key, lent, found.raw), give_up(key, lent))",
        "tests/unit/core/test_loan_return.py::test_the_bounds_go_back_then_what_is_ours_and_the_note_last",
    ),
    Mutant(
        "a note that was copied with its object is not believed",
        "core.loan_record:loans_noted",
        'if metadata["name"] != (lent.autoscaler if of_autoscaler else lent.name):',
        "if False:",
        "tests/unit/core/test_loan_return.py::test_a_copy_of_an_object_under_another_name_has_lent_nothing",
    ),
    Mutant(
        "what people paste is not read from the note",
        "core.loan_record:loans_noted",
        'lent = lent.model_copy(update={"restore_command": line})',
        "pass",
        "tests/unit/core/test_loan_record.py::test_the_line_to_paste_is_made_anew_and_never_read_from_the_note",
    ),
    Mutant(
        "a note of no kind that we know is no loan",
        "core.loan_record:loans_noted",
        "if not of_autoscaler and found.lent.kind not in _WORKLOADS:",
        "if False:",
        "tests/unit/core/test_loan_record.py::test_a_note_that_is_not_of_its_object_is_no_loan",
    ),
    Mutant(
        "a loan that a living tuning answers for is left to it",
        "core.loan_return:orphaned",
        "if one.record.tuning_uid != tuning_uid and (one.lent.kind, one.lent.name) != target",
        "",
        "tests/unit/core/test_loan_return.py::test_only_what_a_former_tuning_lent_elsewhere_has_nobody_left",
    ),
    Mutant(
        "a loan that is noted alone goes back",
        "core.states.lending:remembered",
        "found is None",
        "True",
        "tests/unit/core/test_loan_record.py::test_a_loan_that_the_status_forgot_is_taken_up_to_go_back",
    ),
    Mutant(
        "a loan of the tuning in front is its own",
        "core.states.lending:remembered",
        "if snapshot.rival is None or n.is_of(tuning)",
        "",
        "tests/unit/core/test_loan_record.py::test_a_loan_of_a_tuning_that_is_gone_ends_too_but_not_that_of_the_one_in_front",
    ),
)
