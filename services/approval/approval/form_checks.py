"""What must hold of a form's schema: it is JSON Schema, its formats are known, and everything in it is bounded."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jsonschema_rs

from approval.form_schema import formats
from approval.yaml_lines import Path

P = TypeVar("P")
ProblemMaker = Callable[[Path, str, str], P]

_ROOT: Path = ("form", "schema")


def check_schema(schema: Mapping[str, Any], problem: ProblemMaker[P]) -> list[P]:
    """Every mistake of the schema, made into whatever `problem` makes of (path, message, fix)."""
    try:
        jsonschema_rs.meta.validate(dict(schema))
        jsonschema_rs.Draft202012Validator(dict(schema))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        path = (*_ROOT, *getattr(error, "instance_path", ()))
        return [
            problem(
                path, f"not a JSON Schema of draft 2020-12: {' '.join(str(error).split())[:120]}", "correct the schema"
            )
        ]
    return [problem(path, message, fix) for path, message, fix in _loose_ends(schema, _ROOT)]


def formats_of(schema: Any) -> list[str]:
    """The formats that a schema uses and nobody knows."""
    known = formats(allow_fictitious=True)
    return [part["format"] for _, part in _parts(schema, ()) if part.get("format", next(iter(known))) not in known]


def _loose_ends(schema: Mapping[str, Any], root: Path) -> Iterator[tuple[Path, str, str]]:
    known = formats(allow_fictitious=True)
    for path, part in _parts(schema, root):
        name = path[-1]
        if part.get("format", next(iter(known))) not in known:
            yield (*path, "format"), f"the format {part['format']!r} is unknown", f"use one of {', '.join(known)}"
        match part.get("type"):
            case "object" if part.get("additionalProperties") is not False:
                yield path, f"{name} lets unknown fields pass", "add additionalProperties: false"
            case "array" if "maxItems" not in part:
                yield path, f"the list {name} has no bound", "add maxItems"
            case "string" if not {"maxLength", "enum", "const", "format"} & part.keys():
                yield path, f"the text {name} has no bound", "add maxLength, enum or format"
            case "integer" | "number" if not ({"minimum", "maximum"} <= part.keys() or "enum" in part):
                yield path, f"the number {name} has no bounds", "add minimum and maximum"
            case None if not {"$ref", "const", "enum", "allOf", "if"} & part.keys():
                yield path, f"{name} has no type", "add type"


def _parts(schema: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The schema and the schemas of everything inside it."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for group in ("properties", "$defs"):
        for name, part in schema.get(group, {}).items():
            yield from _parts(part, (*path, group, name))
    if "items" in schema:
        yield from _parts(schema["items"], (*path, "items"))
