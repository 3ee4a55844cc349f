"""The doors between the operator and its world, with somebody standing at each.

Role: every call of a port method passes a ``Doorkeeper``, who may look, refuse, let it happen and
then lose the answer, or end the process. The methods are taken from the Protocols themselves, so a
new one is watched from its first day. Trade-off: calls are named by their method; what they mean
is the doorkeeper's affair.
"""

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infertune.core.plan import Effect
from infertune.core.snapshot import TuningView
from infertune.ports import Cluster, MetricsSource
from infertune.runtime.execute import Executor

PORTS: tuple[type, ...] = (Cluster, MetricsSource)


def port_methods(port: type) -> dict[str, Callable[..., Any]]:
    """Return the methods of a port, from its Protocol and those it is put together from."""
    found: dict[str, Callable[..., Any]] = {}
    for base in port.__mro__:
        if base not in {object, typing.Protocol, typing.Generic}:
            found |= {
                name: member
                for name, member in vars(base).items()
                if inspect.isfunction(member) and not name.startswith("_")
            }
    return dict(sorted(found.items()))


METHODS = {name: method for port in PORTS for name, method in port_methods(port).items()}
EFFECTS = tuple(effect.__name__ for effect in typing.get_args(Effect))


def reads(method: str) -> bool:
    """Return whether a method only reads; the verbs of the house say so."""
    return method.startswith(("fetch_", "list_"))


def may_return(method: str, kind: type) -> bool:
    """Return whether a method's declared result includes this type, such as None or NoData."""
    declared = typing.get_type_hints(METHODS[method])["return"]
    options = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
    return kind in options


@dataclass(frozen=True, slots=True)
class Call:
    """One call through a door; ``effect`` is the effect it carries out, empty for none."""

    method: str
    args: tuple[Any, ...]
    effect: str

    @property
    def writes(self) -> bool:
        """Whether the call may change the cluster."""
        return not reads(self.method)


Doorkeeper = Callable[[Call, Callable[[], Any]], Any]


def let_through(_: Call, go: Callable[[], Any]) -> Any:
    """Stand at the door and do nothing."""
    return go()


class Doors:
    """Both doors of one operator, and who stands there."""

    def __init__(self) -> None:
        self.keeper: Doorkeeper = let_through
        self.effect = ""

    def before(self, port: Any) -> Any:
        """Return the port with this door in front of it."""
        return _Door(port, self)

    def announce(self, executor: Executor) -> Executor:
        """Return an executor that says which effect it is at."""
        return _Announcing(executor, self)

    def pass_through(self, method: str, go: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """Let the doorkeeper decide about one call."""
        return self.keeper(Call(method, args, self.effect), go)


class _Door:
    def __init__(self, port: Any, doors: Doors) -> None:
        self._port = port
        self._doors = doors

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._port, name)
        if name not in METHODS:
            return target

        def call(*args: Any, **named: Any) -> Any:
            go = lambda: target(*args, **named)  # noqa: E731
            return self._doors.pass_through(name, go, (*args, *named.values()))

        return call


class _Announcing(Executor):
    def __init__(self, executor: Executor, doors: Doors) -> None:
        super().__init__(executor._cluster, executor._telemetry)
        self._doors = doors

    def execute(self, effect: Effect, tuning: TuningView, version: str) -> str:
        self._doors.effect = type(effect).__name__
        try:
            return super().execute(effect, tuning, version)
        finally:
            self._doors.effect = ""
