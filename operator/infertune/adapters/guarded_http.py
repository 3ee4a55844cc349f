"""HTTP that looks at the address it reached before it says a word.

Role: a requests adapter whose connections are checked once they stand: what a name leads to is
known only then, and a name that is looked up twice may lead to two places. Must not know: which
addresses are fine. Trade-off: a refused address still sees a connection opened and closed.
"""

from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Refuse = Callable[[str, str], str | None]


class AddressRefused(Exception):
    """The address that a name led to is not to be asked; the message says why."""


class GuardedAdapter(HTTPAdapter):
    """Connections by name whose address is checked; no retries, no redirects of its own."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        super().__init__(max_retries=Retry(total=0))

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # as inherited
        """Make the pools whose connections are checked."""
        super().init_poolmanager(*arguments, **options)
        plain, secured = _connections(self._refuse)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("GuardedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": secured}),
        }


def _connections(refuse: Refuse) -> tuple[type[HTTPConnection], type[HTTPSConnection]]:
    def checked(connection: HTTPConnection, made: Any) -> Any:  # noqa: ANN401  # a socket, or TLS over one
        problem = refuse(connection.host, str(made.getpeername()[0]))
        if problem is not None:
            made.close()
            raise AddressRefused(problem)
        return made

    class Plain(HTTPConnection):
        def _new_conn(self) -> Any:  # noqa: ANN401  # as inherited
            return checked(self, super()._new_conn())

    class Secured(HTTPSConnection):
        def _new_conn(self) -> Any:  # noqa: ANN401  # as inherited
            return checked(self, super()._new_conn())

    return Plain, Secured
