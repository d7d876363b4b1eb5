"""What an API says about itself: OpenAPI 3.1, with its refusals as they really look (RFC 9457)."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI

from yijian_common.problem_pages import MEDIA_TYPE

_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "A refusal, RFC 9457. `type` resolves to a page that says what to do; texts are for residents.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/unprocessable"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Every mistake at once: `pointer` (RFC 6901) into the body, or the `parameter`.",
            "items": {
                "type": "object",
                "required": ["message"],
                "properties": {
                    "pointer": {"type": "string"},
                    "parameter": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
_REFUSAL = {"description": "Refused", "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an app: the framework's, without the errors that `problem_pages` replaces."""
    document = deepcopy(app.openapi())
    for operation in _operations(document):
        operation["responses"].pop("422", None)
        operation["responses"]["4XX"] = deepcopy(_REFUSAL)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def write(path: Path, *, title: str, routers: Sequence[APIRouter], version: str = "0.1.0") -> None:
    """The document of these routers as a file, made without anything running."""
    app = FastAPI(title=title, version=version)
    for router in routers:
        app.include_router(router)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(describe(app), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
