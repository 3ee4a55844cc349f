"""Field types that every model of the API shares.

Role: one place for the alias rule (camelCase outside, snake_case inside) and for exact numbers.
Must not know: any resource. Trade-off: decimals travel as strings, because a float in a spec
does not survive a round trip through YAML, JSON and Go byte for byte.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DECIMAL_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"
PERCENT_PATTERN = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
ENTRY_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"

# What a text has to look like, for people: a regular expression is no help to most of them.
PATTERN_WORDS: Mapping[str, str] = {
    DECIMAL_PATTERN: 'write a number as a string, at most six decimals, such as "2.5"',
    PERCENT_PATTERN: 'write a percentage from "0" to "100" as a string, such as "0.5"',
    NAME_PATTERN: "write a name as Kubernetes takes it: lower-case letters, digits, - and .",
    ENTRY_PATTERN: "write module:callable, such as server.model:predict",
    r"^/[^\s]*$": "begin it with / and leave out blanks, such as /predict",
    r"^https?://[^\s/@?#]+(/[^\s?#]*)?$": "write scheme and host, without user, password or query, "
    "such as http://prometheus.monitoring:9090",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": "write a time of day in UTC, 00:00 to 23:59, such as 06:30",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "write letters, digits and _, and no digit first",
    r"^[a-zA-Z_][a-zA-Z0-9_]*$": "write a label of Prometheus: letters, digits and _, and no digit "
    "first",
    r"^[a-zA-Z_:][a-zA-Z0-9_:]*$": "write a metric of Prometheus: letters, digits, _ and :, and no "
    "digit first; leave out _bucket and labels",
    r"^--?[A-Za-z][A-Za-z0-9_.-]*$": "write the flag alone, such as --max-batch-size",
    r"^[a-z0-9][A-Za-z0-9._:/@-]*$": "write an image reference, such as registry/server:1.2",
    r"^[a-z][a-zA-Z0-9-]*$": "write a name of your own: letters, digits and -, a small one first",
    r"^[^\x00-\x1f]+$": "write one line of text, not empty",
    r"^[0-9]+\.[0-9]+(\.[0-9]+)*(\+[a-z0-9.]+)?$": 'write a release as a string, such as "12.4"',
    r"^[-._a-zA-Z0-9]+$": "write a key: letters, digits, -, _ and .",
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$": "write the name of a header alone, such as Authorization",
    r"^[A-Z]{3}$": "write the code of a currency: three capital letters, such as EUR",
    r"^[0-9]{1,9}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$": "write a quantity as Kubernetes takes "
    "it, such as 500m or 2Gi",
}

DecimalString = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=16)]
PercentString = Annotated[str, Field(pattern=PERCENT_PATTERN, max_length=8)]
ObjectName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=253)]
ShortText = Annotated[str, Field(max_length=1024)]


class SpecModel(BaseModel):
    """A part of the spec: unknown fields are refused, values never change after parsing."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class StatusModel(BaseModel):
    """A part of the status: unknown fields are dropped, so a newer or older status still loads."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


def fraction_of_percent(percent: str) -> float:
    """Return the fraction that a percentage string names: ``"2.5"`` gives 0.025."""
    return float(Decimal(percent) / Decimal(100))
