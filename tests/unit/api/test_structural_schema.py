"""Models become structural schemas; what Kubernetes cannot say is refused, never dropped."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from infertune.api.structural import Dialect, NoCounterpartError, Rule, structural_schema


class Limits(BaseModel):
    """Two bounds."""

    low: int = Field(1, ge=0, description="Lower.")
    high: int = Field(9, le=10, description="Upper.")


class Owner(BaseModel):
    """Somebody."""

    name: str = Field(pattern="^[a-z]+$", max_length=8, description="Name.")


class Thing(BaseModel):
    """A thing."""

    mode: Literal["A", "B"] = Field("A", description="Mode.")
    kind: Literal["Only"] = Field("Only", description="Kind.")
    limits: Limits = Field(default_factory=lambda: Limits.model_validate({}), description="Bounds.")
    owner: Owner | None = Field(None, description="Owner of the thing.")
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field((), max_length=4, description="Sizes.")
    labels: dict[Annotated[str, Field(pattern="^[a-z]+$")], str] = Field(
        default_factory=dict, max_length=2, description="Labels."
    )
    since: datetime | None = Field(None, description="Since when.")


def test_a_model_becomes_the_schema_one_would_write_by_hand() -> None:
    """Optional is not `required` and never nullable; a field's description beats a docstring."""
    dialect = Dialect(
        rules={"Limits": (Rule("self.low <= self.high", "low is above high", ".low"),)},
        sets=frozenset({"sizes"}),
    )
    assert structural_schema(Thing, dialect) == {
        "description": "A thing.",
        "type": "object",
        "properties": {
            "mode": {
                "description": "Mode.",
                "type": "string",
                "enum": ["A", "B"],
                "default": "A",
            },
            "kind": {"description": "Kind.", "type": "string", "enum": ["Only"], "default": "Only"},
            "limits": {
                "description": "Bounds.",
                "type": "object",
                "properties": {
                    "low": {
                        "description": "Lower.",
                        "type": "integer",
                        "minimum": 0,
                        "default": 1,
                    },
                    "high": {
                        "description": "Upper.",
                        "type": "integer",
                        "maximum": 10,
                        "default": 9,
                    },
                },
                "x-kubernetes-validations": [
                    {
                        "rule": "self.low <= self.high",
                        "message": "low is above high",
                        "fieldPath": ".low",
                    }
                ],
                # Spelled out, because the server judges `{}` by the rule before it fills it in.
                "default": {"low": 1, "high": 9},
            },
            "owner": {
                "description": "Owner of the thing.",
                "type": "object",
                "properties": {
                    "name": {
                        "description": "Name.",
                        "type": "string",
                        "maxLength": 8,
                        "pattern": "^[a-z]+$",
                    }
                },
                "required": ["name"],
            },
            "sizes": {
                "description": "Sizes.",
                "type": "array",
                "maxItems": 4,
                "items": {"type": "integer", "minimum": 1},
                "x-kubernetes-list-type": "set",
                "default": [],
            },
            "labels": {
                "description": "Labels.",
                "type": "object",
                "maxProperties": 2,
                "additionalProperties": {"type": "string", "maxLength": 1024},
                "x-kubernetes-validations": [
                    {
                        "rule": 'self.all(key, key.matches("^[a-z]+$"))',
                        "message": "every key must match ^[a-z]+$: rename the one that does not",
                    }
                ],
            },
            "since": {"description": "Since when.", "type": "string", "format": "date-time"},
        },
    }


def test_a_status_gets_no_defaults_and_its_conditions_merge_by_type() -> None:
    class Entry(BaseModel):
        type: str
        count: int = 0

    class Status(BaseModel):
        conditions: tuple[Entry, ...] = Field((), max_length=3)

    dialect = Dialect(map_keys={"conditions": "type"}, keep_defaults=False)
    assert structural_schema(Status, dialect)["properties"]["conditions"] == {
        "type": "array",
        "maxItems": 3,
        "items": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "count": {"type": "integer"}},
            "required": ["type"],
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        (int | str, "Odd.field: a structural schema knows no alternatives"),
        (tuple[int, ...], "Odd.field: a list needs max_length, so that rules stay cheap"),
        (dict[str, int], "Odd.field: only bounded maps of strings are supported"),
        (dict[str, str], "Odd.field: only bounded maps of strings are supported"),
        (Annotated[int, Field(gt=0)], "Odd.field: no counterpart for exclusiveMinimum"),
        (
            Annotated[int, Field(multiple_of=2)],
            "Odd.field: no counterpart for multipleOf",
        ),
    ],
    ids=["a union", "an endless list", "a map of numbers", "an endless map", "above", "even"],
)
def test_what_kubernetes_cannot_say_is_refused_with_the_path(
    annotation: Any, complaint: str
) -> None:
    model = type("Odd", (BaseModel,), {"__annotations__": {"field": annotation}})
    with pytest.raises(NoCounterpartError) as refusal:
        structural_schema(model, Dialect())
    assert str(refusal.value) == complaint
