"""``spec.load.headersFrom``: headers of the load whose values stand in Secrets.

Role: the part of the spec that names a credential without holding it. Must not know: pods, values.
Trade-off: only references, and no field for a plain value, so that nobody is led to write a
credential into a tuning; a header that is no secret goes into a Secret as well.
"""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, model_validator

from infertune.api.fields import ObjectName, SpecModel

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=128)]
# The load probe sets these itself; a second value would make another request of it.
RESERVED = (
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-request-start",
)


class HeaderFrom(SpecModel):
    """A header whose value is a key of a Secret."""

    name: HeaderName = Field(description="Name of the header, such as Authorization.")
    secret: ObjectName = Field(
        description="Secret in the namespace of the tuning. The operator never reads it: the "
        "kubelet hands it to the pod that sends the load."
    )
    key: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key of the Secret that holds the whole value, such as 'Bearer abc'.",
    )

    @model_validator(mode="after")
    def _not_reserved(self) -> Self:
        if self.name.lower() in RESERVED:
            message = f"header {self.name} is set by the load itself: remove it"
            raise ValueError(message)
        return self


def named_twice(headers: Iterable[HeaderFrom]) -> str | None:
    """Return a header that stands there twice, whatever its case, or None."""
    seen: set[str] = set()
    for header in headers:
        if header.name.lower() in seen:
            return header.name
        seen.add(header.name.lower())
    return None
