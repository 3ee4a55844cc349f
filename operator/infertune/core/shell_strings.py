"""A flag inside a shell string such as ``sh -c "exec serve --batch 8"``.

Role: find the string, read one plain token in it, replace that token in a copy. Must not know:
containers, knobs. Trade-off: no shell grammar; a flag that stands there exactly once with a plain
value can be tried in a trial, any other is refused. The user's own string is never written: only a
human may judge what a script means.
"""

import re
from pathlib import PurePosixPath

from infertune.core.arguments import Flag, FlagProblem

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh"})
_OPTION_WITH_STRING = re.compile(r"^-[A-Za-z]*c[A-Za-z]*$")
_OPTIONS_WITH_WORD = frozenset({"-o", "+o", "-O", "+O"})
_PLAIN = r"[A-Za-z0-9._:/@%+,-]+"


def shell_string_at(line: tuple[str, ...]) -> int | None:
    """Return the position of the shell string in a command line, or None without one.

    Wrappers such as ``env`` or ``tini --`` may stand before the shell.
    """
    for position, part in enumerate(line):
        if PurePosixPath(part).name in _SHELLS:
            found = _string_after(line, position + 1)
            if found is not None:
                return found
    return None


def read_in(text: str, flag: Flag) -> str | FlagProblem:
    """Return the value of the flag in a shell string, or why it cannot be told."""
    if flag.bare:
        return FlagProblem("ShellCommand", "is a bare flag of a shell string: use an env entry")
    seen = _mentions(text, flag)
    found = _pattern(flag).findall(text)
    if len(seen) != 1 or len(found) != 1 or _commented(text, seen[0].start()):
        return FlagProblem(
            "ShellCommand",
            f"would have to stand in the shell string exactly once as a plain token, and stands "
            f"there {len(seen)} times: write it so, or use an env entry",
        )
    return str(found[0][1])


def set_in(text: str, flag: Flag, value: str) -> str:
    """Return the string with the flag's value replaced; nothing else changes."""
    return _pattern(flag).sub(lambda match: f"{match[1]}{value}", text, count=1)


def is_plain(value: str) -> bool:
    """Return whether a shell takes the value as it stands, as one word."""
    return re.fullmatch(_PLAIN, value) is not None


def _string_after(line: tuple[str, ...], start: int) -> int | None:
    position = start
    string_follows = False
    while position < len(line) and line[position][:1] in {"-", "+"}:
        string_follows = string_follows or bool(_OPTION_WITH_STRING.match(line[position]))
        position += 2 if line[position] in _OPTIONS_WITH_WORD else 1
    return position if string_follows and position < len(line) else None


def _mentions(text: str, flag: Flag) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w-]){re.escape(flag.name)}(?![\w-])", text))


def _pattern(flag: Flag) -> re.Pattern[str]:
    before, behind = r"(?:(?<=\s)|^)", r"(?=$|[\s;&|)'\"])"
    name = re.escape(flag.name)
    return re.compile(rf"{before}({name}(?:=|[ \t]+))({_PLAIN}){behind}", re.MULTILINE)


def _commented(text: str, position: int) -> bool:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return re.search(r"(^|\s)#", line) is not None
