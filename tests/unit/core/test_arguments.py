"""Flags in argument lists: set, read back, restored to the letter, everything else untouched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.core.arguments import Flag, FlagProblem, read_flag, set_flag, stands
from infertune.core.shell_strings import is_plain, read_in, set_in, shell_string_at

FLAG, SHORT, BARE = Flag("--max-batch"), Flag("-b"), Flag("--eager", bare=True)
OTHERS = st.lists(
    st.sampled_from(["serve", "--port", "8080", "--max-batch-wait=3", "-v", "--max", "--", "-big"]),
    max_size=6,
)
VALUES = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1).filter(
    lambda text: not text.startswith("-")
)


def standing(flag: Flag, value: str, form: str) -> tuple[str, ...]:
    return (f"{flag.name}={value}",) if form == "=" else (flag.name, value)


@given(before=OTHERS, behind=OTHERS, old=VALUES, new=VALUES, form=st.sampled_from("= "))
def test_a_flag_is_set_in_its_own_form_and_set_back_to_the_letter(
    before: list[str], behind: list[str], old: str, new: str, form: str
) -> None:
    before = [token for token in before if token != "--"]
    args = (*before, *standing(FLAG, old, form), *behind)
    turned = set_flag(args, FLAG, new)
    assert read_flag(args, FLAG) == old
    assert read_flag(turned, FLAG) == new
    assert turned == (*before, *standing(FLAG, new, form), *behind)
    assert set_flag(turned, FLAG, old) == args
    assert set_flag(args, FLAG, None) == (*before, *behind)


@given(args=OTHERS, value=VALUES, flag=st.sampled_from([FLAG, SHORT]))
def test_a_flag_that_was_absent_is_added_before_the_end_of_flags_and_taken_out_again(
    args: list[str], value: str, flag: Flag
) -> None:
    turned = set_flag(tuple(args), flag, value)
    end = args.index("--") if "--" in args else len(args)
    form = " " if flag is SHORT else "="
    assert turned == (*args[:end], *standing(flag, value, form), *args[end:])
    assert read_flag(turned, flag) == value
    assert set_flag(turned, flag, None) == tuple(args)


@given(args=OTHERS)
def test_a_bare_flag_is_there_or_not_and_goes_back_and_forth(args: list[str]) -> None:
    on = set_flag(tuple(args), BARE, "true")
    assert read_flag(tuple(args), BARE) == "false"
    assert read_flag(on, BARE) == "true"
    assert set_flag(on, BARE, "true") == on
    assert set_flag(on, BARE, "false") == tuple(args)
    assert set_flag(tuple(args), BARE, "false") == tuple(args)


@pytest.mark.parametrize(
    ("tokens", "flag", "reason"),
    [
        (("--max-batch=1", "--max-batch", "2"), FLAG, "KnobDuplicated"),
        (("--eager", "--eager"), BARE, "KnobDuplicated"),
        (("--max-batch",), FLAG, "KnobUnreadable"),
        (("--max-batch", "-v"), FLAG, "KnobUnreadable"),
        (("--eager=true",), BARE, "KnobUnreadable"),
        (("--no-eager",), BARE, "KnobUnreadable"),
        (("-b8",), SHORT, "KnobUnreadable"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    tokens: tuple[str, ...], flag: Flag, reason: str
) -> None:
    found = read_flag(tokens, flag)
    assert isinstance(found, FlagProblem)
    assert found.reason == reason
    assert ":" in found.words


@pytest.mark.parametrize(
    ("tokens", "flag", "wanted"),
    [
        (("--max-batch", "-1"), FLAG, "-1"),
        (("-b", "8"), SHORT, "8"),
        (("-b=8",), SHORT, "8"),
        (("-big", "--bb"), SHORT, None),
        (("--", "--max-batch=8"), FLAG, None),
        (("--max-batch=",), FLAG, ""),
    ],
)
def test_every_form_of_a_flag_is_read(
    tokens: tuple[str, ...], flag: Flag, wanted: str | None
) -> None:
    assert read_flag(tokens, flag) == wanted


def test_a_flag_without_its_value_at_the_end_gets_one_or_goes() -> None:
    assert set_flag(("serve", "--f"), Flag("--f"), "3") == ("serve", "--f", "3")
    assert set_flag(("serve", "--f"), Flag("--f"), None) == ("serve",)
    assert stands(("--f", "--f=2", "--", "--f"), Flag("--f")) == (0, 1)


PLAIN = st.from_regex(r"[A-Za-z0-9._:/@%+,-]{1,8}", fullmatch=True)
WORDS = st.lists(st.sampled_from(["serve", "--max", "$HOME", "'a b'", "&&", "\n", "|"]), max_size=5)


@given(before=WORDS, behind=WORDS, old=PLAIN, new=PLAIN, form=st.sampled_from("= "))
def test_a_plain_token_of_a_shell_string_is_replaced_and_nothing_else(
    before: list[str], behind: list[str], old: str, new: str, form: str
) -> None:
    def text(value: str) -> str:
        return " ".join([*before, f"--max-batch{form}{value}", *behind])

    assert read_in(text(old), FLAG) == old
    assert set_in(text(old), FLAG, new) == text(new)
    assert is_plain(old)


@pytest.mark.parametrize("value", ["a b", "$(x)", "a;b", "", "`x`", "a'b"])
def test_what_a_shell_would_expand_or_split_is_not_plain(value: str) -> None:
    assert not is_plain(value)


@pytest.mark.parametrize(
    ("line", "at"),
    [
        (("sh", "-c", "x"), 2),
        (("env", "A=1", "bash", "-euxc", "x"), 4),
        (("bash", "-o", "pipefail", "-c", "x"), 4),
        (("tini", "--", "/bin/dash", "-c", "x", "arg"), 4),
        (("bash", "run.sh", "-c", "x"), None),
        (("sh", "-c"), None),
        (("python", "-c", "x"), None),
        (("zsh", "--login"), None),
        ((), None),
    ],
)
def test_a_shell_string_is_found_behind_wrappers_and_options(
    line: tuple[str, ...], at: int | None
) -> None:
    assert shell_string_at(line) == at
