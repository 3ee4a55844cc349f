"""The two ways in which devcluster stops: a failure, or a refusal before any change.

A refusal names what is missing and what to do, in one line, and ends with exit
code 2; a failure names the component and shows the end of its log. Callers never
need to parse a traceback.
"""

from __future__ import annotations


class DevclusterError(Exception):
    """Something that was tried did not work."""


class RefusedError(DevclusterError):
    """Nothing was changed: a precondition does not hold."""


class CommandError(DevclusterError):
    """A program that was called ended with an error."""
