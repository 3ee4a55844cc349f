"""Finds the callable that an entry point `module:callable` names.

Emit side: standard library, Python 3.8; the user's own modules come with the import. It must not
call what it finds. Trade-off: the working directory is put on the path, as `python -m` would,
because the images of model servers keep their code there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class EntryUnusable(Exception):
    """The entry point or its input cannot be used; the text names it and says why."""


def resolve(entry: str) -> Callable[..., Any]:
    """Return the callable of `module:callable`; dots after the colon reach into objects.

    Raises:
        EntryUnusable: the module cannot be imported, the name is not there or not callable.
    """
    module_name, colon, path = entry.partition(":")
    if not colon or not module_name or not path:
        msg = f"{entry!r} is not module:callable, for example server.model:predict"
        raise EntryUnusable(msg)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        msg = f"import {module_name}: {error}"
        raise EntryUnusable(msg) from error
    for name in path.split("."):
        if not hasattr(found, name):
            msg = f"{module_name} has no {path}"
            raise EntryUnusable(msg)
        found = getattr(found, name)
    if not callable(found):
        msg = f"{entry} is not callable but {type(found).__name__}"
        raise EntryUnusable(msg)
    callable_found: Callable[..., Any] = found
    return callable_found


def build(entry: str | None, factory: str | None) -> Callable[..., Any]:
    """Return the callable itself, or what the factory makes without arguments."""
    if entry is not None:
        return resolve(entry)
    if factory is None:
        raise EntryUnusable("neither an entry point nor a factory was named")
    made = resolve(factory)()
    if not callable(made):
        msg = f"{factory} made {type(made).__name__}, which is not callable"
        raise EntryUnusable(msg)
    called: Callable[..., Any] = made
    return called
