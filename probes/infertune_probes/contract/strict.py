"""The one base of every load-side model: strict, frozen, camelCase on the wire, finite numbers.

It must not know any field. Trade-off: strictness refuses a number that came as a string, which
a lenient reader would have mended; a probe that writes such a thing is wrong and should be told.
"""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class StrictModel(BaseModel):
    """Refuses unknown fields, coercion, NaN and infinity; immutable once read."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        alias_generator=to_camel,
        populate_by_name=True,
    )
