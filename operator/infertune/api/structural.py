"""From the JSON schema of a pydantic model to a structural schema of a CRD.

Role: resolve references, turn "may be null" into "may be absent", give every list its merge
rule, refuse what Kubernetes has no word for. Must not know: which resource it converts, or any
file. Trade-off: a keyword without a counterpart is an error when the CRD is generated, because
a bound that is silently dropped is a bound that users believe in.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
KEPT = (
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "maxProperties",
)
TRANSLATED = frozenset(
    ("$ref", "anyOf", "const", "default", "description", "items", "properties", "required")
)
# A title repeats the name; unknown fields are refused by the server's own strict validation.
DROPPED = frozenset(("title", "$defs", "additionalProperties"))
OF_MAPS = frozenset(("patternProperties", "propertyNames", "additionalProperties"))
LONGEST_MAP_VALUE = 1024


class NoCounterpartError(ValueError):
    """A model says something that a structural schema cannot say."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule; ``field_path`` names the field that the message is about."""

    expression: str
    message: str
    field_path: str | None = None

    def document(self) -> Schema:
        """Return the rule as it stands in ``x-kubernetes-validations``."""
        path = {} if self.field_path is None else {"fieldPath": self.field_path}
        return {"rule": self.expression, "message": self.message, **path}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the models do not say: rules by model, merge keys and sets by field, defaults or none.

    ``rules`` is keyed by the name of the model, ``sets`` and ``map_keys`` by the name of the
    field. ``keep_defaults`` is false for a status: a figure that the server fills in was never
    measured.
    """

    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    sets: frozenset[str] = frozenset()
    map_keys: Mapping[str, str] = field(default_factory=dict)
    keep_defaults: bool = True


def structural_schema(model: type[BaseModel], dialect: Dialect) -> Schema:
    """Return the structural schema of a model.

    Raises:
        NoCounterpartError: The model uses a keyword that Kubernetes has no word for.
    """
    root = model.model_json_schema(by_alias=True, mode="validation")
    return _Conversion(root.get("$defs", {}), dialect).convert(root, model.__name__, "")


@dataclass(frozen=True, slots=True)
class _Conversion:
    definitions: Mapping[str, Schema]
    dialect: Dialect

    def convert(self, source: Schema, path: str, name: str) -> Schema:
        """Return the counterpart of one schema; ``name`` is the field it belongs to."""
        flat, model = self._flatten(source, path)
        unknown = set(flat) - set(KEPT) - TRANSLATED - DROPPED - OF_MAPS
        if unknown:
            message = f"{path}: no counterpart for {', '.join(sorted(unknown))}"
            raise NoCounterpartError(message)
        result = {"description": flat["description"]} if "description" in flat else {}
        result |= {key: flat[key] for key in KEPT if key in flat}
        if "const" in flat:
            result["enum"] = [flat["const"]]
        by_type: dict[str, Callable[[Schema, str, str], Schema]] = {
            "array": self._list,
            "object": self._object,
        }
        expand = by_type.get(result.get("type", ""))
        if expand:
            result |= expand(flat, path, name)
        rules = self.dialect.rules.get(model, ())
        if rules:
            result["x-kubernetes-validations"] = [rule.document() for rule in rules]
        return result

    def _flatten(self, source: Schema, path: str) -> tuple[Schema, str]:
        """Return the schema with reference and null alternative resolved, and the model's name.

        What stands beside a reference (the field's own description) wins over what the model
        says of itself.
        """
        flat, model = dict(source), path if "." not in path else ""
        while "$ref" in flat or "anyOf" in flat:
            if "$ref" in flat:
                model = flat.pop("$ref").removeprefix("#/$defs/")
                inner = self.definitions[model]
            else:
                inner = _without_null(flat.pop("anyOf"), path)
            flat = {**inner, **flat}
        return flat, model

    def _list(self, flat: Schema, path: str, name: str) -> Schema:
        if "maxItems" not in flat:
            message = f"{path}: a list needs max_length, so that rules stay cheap"
            raise NoCounterpartError(message)
        result: Schema = {"items": self.convert(flat["items"], f"{path}.items", "")}
        if name in self.dialect.sets:
            return result | {"x-kubernetes-list-type": "set"}
        if name in self.dialect.map_keys:
            keys = [self.dialect.map_keys[name]]
            return result | {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": keys,
            }
        return result | {"x-kubernetes-list-type": "atomic"}

    def _object(self, flat: Schema, path: str, _name: str) -> Schema:
        if "properties" not in flat:
            return self._map(flat, path)
        needed = flat.get("required", [])
        properties: Schema = {}
        for name, source in flat["properties"].items():
            schema = self.convert(source, f"{path}.{name}", name)
            if self.dialect.keep_defaults and name not in needed:
                schema |= _default(source, schema)
            properties[name] = schema
        return {"properties": properties, **({"required": needed} if needed else {})}

    def _map(self, flat: Schema, path: str) -> Schema:
        """Return a map of strings; a pattern on its keys becomes a rule."""
        patterns = flat.get("patternProperties") or {"": flat.get("additionalProperties")}
        if list(patterns.values()) != [{"type": "string"}] or "maxProperties" not in flat:
            message = f"{path}: only bounded maps of strings are supported"
            raise NoCounterpartError(message)
        result: Schema = {
            "additionalProperties": {"type": "string", "maxLength": LONGEST_MAP_VALUE},
        }
        pattern = next(iter(patterns))
        if pattern:
            expression = f"self.all(key, key.matches({json.dumps(pattern)}))"
            rule = Rule(expression, f"every key must match {pattern}: rename the one that does not")
            result["x-kubernetes-validations"] = [rule.document()]
        return result


def _default(source: Schema, schema: Schema) -> Schema:
    """Return the default of an optional field.

    An object that may not be null and needs nothing defaults to ``{}``, so that the server fills
    in the defaults below it and a reader of the stored object sees what is in force. Where rules
    hold between its fields the defaults are spelled out: the server judges a default by its rules
    before it has filled it in.
    """
    if "default" in source:
        return {} if source["default"] is None else {"default": source["default"]}
    if "properties" not in schema or "required" in schema or "anyOf" in source:
        return {}
    if "x-kubernetes-validations" not in schema:
        return {"default": {}}
    fields = schema["properties"].items()
    return {"default": {name: field["default"] for name, field in fields if "default" in field}}


def _without_null(alternatives: list[Schema], path: str) -> Schema:
    """Return the only alternative that is not null: optional means that the field may be absent."""
    others = [schema for schema in alternatives if schema.get("type") != "null"]
    if len(others) != 1:
        message = f"{path}: a structural schema knows no alternatives"
        raise NoCounterpartError(message)
    return others[0]
