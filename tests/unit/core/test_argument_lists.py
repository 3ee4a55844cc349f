"""Lists of arguments that are known by our own tokens: nothing else of them is ever told."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.argument_lists import ArgumentList, OwnToken, kept, kept_where_they_differ
from infertune.api.status import RolloutIntent, TemplateValues
from infertune.core.argument_lists import (
    Operation,
    completed_list,
    may_become,
    operations,
    shown,
    stands_for,
)
from infertune.core.arguments import Flag, own_positions, set_flag
from infertune.core.manifests.sent_document import sent_document
from infertune.core.plan import ApplyFields, FieldExpectation

SECRET = "canary-31fa"
FLAG, SHORT, BARE = Flag("--max-batch"), Flag("-b"), Flag("--eager", bare=True)
OTHERS = st.lists(
    st.sampled_from(
        ["serve", "--port", "80", "--api-key", SECRET, "--max-batch-wait=3", "4", "--"]
    ),
    max_size=8,
)
VALUES = st.sampled_from([None, "1", "4", "80"])
PLACE = "/spec/template/spec/containers/0/args"


def turned_lists(others: list[str], old: str | None, new: str | None) -> tuple[Any, Any]:
    """Return a list of arguments before and after three flags of it were turned."""
    before, after = tuple(others), tuple(others)
    for flag in (FLAG, SHORT, BARE):
        before, after = set_flag(before, flag, old), set_flag(after, flag, old)
        after = set_flag(after, flag, "true" if flag.bare and new else new)
    return before, after


def of_flags(tokens: tuple[str, ...]) -> ArgumentList:
    return kept(tokens, [at for flag in (FLAG, SHORT, BARE) for at in own_positions(tokens, flag)])


def patched(tokens: Iterable[str], patch: Iterable[Operation]) -> list[str]:
    """Return the list after a JSON patch (RFC 6902) of it; a test that fails raises."""
    found: list[str] | None = list(tokens)
    for step in patch:
        if step["path"] == PLACE:
            found = step.get("value")
            continue
        assert found is not None
        at = int(step["path"].removeprefix(f"{PLACE}/"))
        if step["op"] == "test":
            assert found[at] == step["value"]
        elif step["op"] == "replace":
            found[at] = step["value"]
        elif step["op"] == "remove":
            del found[at]
        else:
            assert at <= len(found)
            found.insert(at, step["value"])
    return found or []


def test_of_a_list_our_tokens_its_length_and_a_digest_are_kept() -> None:
    """printf '["--api-key", "canary-31fa"]' | sha256sum"""
    found = kept(("--batch", "4", "--api-key", SECRET), (0, 1))
    assert found == ArgumentList(
        length=4,
        own=(OwnToken(at=0, token="--batch"), OwnToken(at=1, token="4")),
        others_sha256="da354c0b277c2a3b82eecd68ceaf8aef05efb4ac5334416a804be30739261989",
    )
    assert SECRET not in found.model_dump_json()
    assert shown(found) == "a list of 4 arguments, ours are '--batch 4'"


@given(others=OTHERS, old=VALUES, new=VALUES)
def test_from_what_was_kept_and_the_live_list_every_list_is_made_again(
    others: list[str], old: str | None, new: str | None
) -> None:
    before, after = turned_lists(others, old, new)
    was, will = of_flags(before), of_flags(after)
    assert completed_list(before, was, will) == after
    assert completed_list(after, was, will) == after
    assert completed_list(after, will, was) == before
    assert patched(before, operations(PLACE, was, will)) == list(after)
    assert patched(after, operations(PLACE, will, was)) == list(before)
    assert SECRET not in json.dumps([*operations(PLACE, was, will), was.model_dump()])


@given(others=OTHERS, old=VALUES, new=VALUES, data=st.data())
def test_another_argument_that_somebody_changed_leaves_nothing_to_write(
    others: list[str], old: str | None, new: str | None, data: st.DataObject
) -> None:
    before, after = turned_lists(["serve", *others], old, new)
    was, will = of_flags(before), of_flags(after)
    own = {token.at for token in was.own}
    at = data.draw(st.sampled_from([n for n in range(len(before)) if n not in own]))
    theirs = (*before[:at], before[at] + "x", *before[at + 1 :])
    for live in (theirs, before[:at] + before[at + 1 :], (*before, "more"), None):
        assert not stands_for(was, live)
        assert not may_become(live, was, will)
        assert completed_list(live, was, will) is None


def test_lists_that_do_not_belong_together_are_never_made_of_each_other() -> None:
    """Somebody has edited the status by hand."""
    live = ("serve", "--b=1")
    was = kept(live, (1,))
    for will in (kept(("other", "--b=4"), (1,)), kept(("serve", "--b=4", "more"), (1,))):
        assert not may_become(live, was, will)
    container = {"name": "server", "args": list(live)}
    target = {"spec": {"template": {"spec": {"containers": [container]}}}}
    path = ("spec", "template", "spec", "containers", "name=server", "args")
    wrong = FieldExpectation(path, was, kept(("other", "--b=4"), (1,)))
    with pytest.raises(ValueError, match=r"args is not the list"):
        sent_document(ApplyFields(target, (wrong,), adopt=False), target)


def test_an_absent_list_and_an_empty_one_are_the_same() -> None:
    """The API server leaves an empty list out."""
    empty, one = kept((), ()), kept(("--eager",), (0,))
    assert stands_for(empty, None)
    assert completed_list(None, empty, one) == ("--eager",)
    assert completed_list(None, None, one) == ("--eager",)
    assert operations(PLACE, None, one) == ({"op": "add", "path": PLACE, "value": ["--eager"]},)
    test = {"op": "test", "path": f"{PLACE}/0", "value": "--eager"}
    assert operations(PLACE, one, empty) == (test, {"op": "remove", "path": PLACE})
    assert operations(PLACE, one, None) == operations(PLACE, one, empty)


@pytest.mark.parametrize(
    ("before", "after", "own"),
    [
        (["--key", SECRET, "--b", "1"], ["--key", SECRET, "--b", "4"], [("1",), ("4",)]),
        (["--key", SECRET], ["--key", SECRET, "--b=4"], [(), ("--b=4",)]),
        (["--eager", "--key", SECRET], ["--key", SECRET], [("--eager",), ()]),
        (
            ["--a=1", SECRET, "--b=1"],
            ["--a=2", SECRET, "--b=2"],
            [("--a=1", "--b=1"), ("--a=2", "--b=2")],
        ),
    ],
)
def test_whole_lists_of_an_earlier_version_load_without_the_arguments_of_others(
    before: list[str], after: list[str], own: list[tuple[str, ...]]
) -> None:
    old = {"id": "1", "before": {"args": before}, "after": {"args": after}}
    intent = RolloutIntent.model_validate(old)
    text = intent.model_dump_json(by_alias=True, exclude_none=True)
    assert SECRET not in text
    assert RolloutIntent.model_validate_json(text) == intent
    was, will = intent.before.own_args, intent.after.own_args
    assert was is not None
    assert will is not None
    assert [tuple(t.token for t in side.own) for side in (was, will)] == own
    assert completed_list(tuple(before), was, will) == tuple(after)
    assert completed_list(tuple(after), will, was) == tuple(before)


def test_whole_lists_are_taken_out_of_an_intent_however_it_is_made() -> None:
    made = RolloutIntent(
        before=TemplateValues(), after=TemplateValues(args=("--b=4",), command=("serve",))
    )
    assert (made.before.own_args, made.before.own_command) == (None, None)
    assert (made.after.args, made.after.command) == (None, None)
    assert kept_where_they_differ(None, ("--b=4",)) == (None, made.after.own_args)


def test_a_list_that_is_not_known_is_counted_and_not_told() -> None:
    assert shown(("--api-key", SECRET)) == "another list of 2 arguments"
    assert [shown(value) for value in (None, "4", 4)] == ["absent", "'4'", "4"]
    assert shown(kept(("--api-key", SECRET), ())) == "a list of 2 arguments"
