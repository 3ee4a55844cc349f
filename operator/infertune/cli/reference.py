"""``infertune reference``: write the field reference as Markdown.

Role: one table per object of the schema, from the same descriptions that ``kubectl explain``
prints. Must not know: the models, only the schema that came of them. Trade-off: what the schema
does not hold is not in the reference; a guide says the rest.
"""

import argparse
import json
from collections.abc import Iterator

from infertune.api import annotations, edits
from infertune.api.crd import COLUMNS, KIND_DESCRIPTION, tuning_schema
from infertune.api.structural import Schema
from infertune.api.v1alpha1 import API_VERSION, KIND, SHORT_NAMES
from infertune.cli.parsing import Commands, add_output, write_text

INTRODUCTION = f"""\
<!-- Generated from operator/infertune/api by `make generate`: do not edit. -->
# Reference: `{KIND}` (`{API_VERSION}`)

{KIND_DESCRIPTION}

Short names: {", ".join(f"`{name}`" for name in SHORT_NAMES)}. The same text stands in the cluster:
`kubectl explain inferencetuning.spec`. Percentages and prices are strings, because a decimal number
does not survive every YAML tool unchanged.
"""
BOUNDS = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("maxProperties", "at most {} entries"),
)


def render_reference() -> str:
    """Return the reference of every field, as Markdown."""
    properties = tuning_schema()["properties"]
    required = ("spec",)
    sections = [INTRODUCTION, _columns(), _annotations(), _edits()]
    for name in ("spec", "status"):
        sections.extend(_sections(properties[name], name, required=name in required))
    return "\n".join(sections)


def _columns() -> str:
    rows = [f"| {name} | `{path}` | {text} |" for name, path, text in COLUMNS]
    return "\n".join(
        [
            "## Columns of `kubectl get`",
            "",
            "| column | field | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _annotations() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in annotations.MEANINGS.items()]
    leaving = (
        "How to leave `Halted`: change the spec (by the table below, some edits keep trials), set "
        f"`{annotations.RETRY}` to a new value, or, after an abort, remove `{annotations.ABORT}`. "
        "Trials whose choice broke the promise on live traffic are never believed again."
    )
    lines = [
        "## Annotations of a tuning",
        "",
        "They steer a tuning now, without a change of its spec.",
        "",
        "| annotation | meaning |",
        "|---|---|",
        *rows,
        "",
        leaving,
        "",
    ]
    return "\n".join(lines)


def _edits() -> str:
    """Return which edits of the spec void trials: one row per effect."""
    lines = ["## What an edit of the spec does", "", "| effect | fields of `spec` |", "|---|---|"]
    for effect, meaning in edits.MEANINGS.items():
        fields = [f"`{path}`" for path, found in edits.EDITS.items() if found == effect]
        lines.append(f"| **{effect}**. {meaning} | {', '.join(fields)} |")
    return "\n".join([*lines, ""])


def _sections(schema: Schema, path: str, *, required: bool) -> Iterator[str]:
    """Yield the table of one object, then those of the objects inside it."""
    rows = [
        _row(name, field, required=name in schema.get("required", ()))
        for name, field in schema["properties"].items()
    ]
    lines = [f"## `{path}`", "", schema["description"] + ("" if required else " Optional."), ""]
    lines += ["| field | type | default | bounds | meaning |", "|---|---|---|---|---|", *rows, ""]
    lines += [f"* Rule: {rule['message']}." for rule in schema.get("x-kubernetes-validations", ())]
    if "x-kubernetes-validations" in schema:
        lines.append("")
    yield "\n".join(lines)
    for name, field in schema["properties"].items():
        inner, suffix = (field["items"], "[]") if "items" in field else (field, "")
        if "properties" in inner:
            described = {"description": field["description"], **inner}
            needed = name in schema.get("required", ())
            yield from _sections(described, f"{path}.{name}{suffix}", required=needed)


def _row(name: str, field: Schema, *, required: bool) -> str:
    default = "required" if required else _default(field)
    cells = (f"`{name}`", _type(field), default, _bounds(field), field["description"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return "map of strings"
    return str(field.get("format", field["type"]))


def _default(field: Schema) -> str:
    if field.get("default") in (None, {}):
        return ""
    return f"`{json.dumps(field['default'])}`"


def _bounds(field: Schema) -> str:
    source = {**field.get("items", {}), **field}
    texts = [text.format(source[key]) for key, text in BOUNDS if key in source]
    if "pattern" in source:
        texts.append(f"matches `{source['pattern']}`")
    return ", ".join(texts)


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("reference", help="write the field reference as Markdown")
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return write_text(render_reference(), arguments.output)
