"""The two ways in which the demo stops: refused before any change, or failed on the way.

Role: what `__main__` turns into one line and an exit status. It must not know any step. Its
trade-off: a failure says where to look next instead of carrying a traceback, because the reader of
a demo is not its author.
"""


class DemoError(Exception):
    """A step did not work; the message names it, its cause and where to look."""


class RefusedError(DemoError):
    """Nothing was changed: something is missing, and the message says what to do."""
