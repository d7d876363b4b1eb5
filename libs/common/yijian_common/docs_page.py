"""The API's description for a developer's browser: one page drawn from the OpenAPI document, nothing fetched."""

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from yijian_common.openapi import describe

routes = APIRouter(include_in_schema=False)

_STYLE = """
body { font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer } pre { overflow: auto; background: #f4f4f4; padding: .5rem } b { font-family: monospace }
"""


@routes.get("/openapi.json")
async def openapi(request: Request) -> Response:
    return JSONResponse(describe(request.app))


@routes.get("/docs")
async def docs(request: Request) -> Response:
    document = describe(request.app)
    operations = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(document["info"]["title"])
    schemas = _json(document.get("components", {}))
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p><a href="/openapi.json">OpenAPI 3.1</a></p>{"".join(operations)}'
        f"<details><summary>Schemas</summary>{schemas}</details></html>"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    described = escape(operation.get("description", ""))
    head = f"<b>{method.upper()} {escape(path)}</b> {escape(operation.get('summary', ''))}"
    return f"<details><summary>{head}</summary><p>{described}</p>{_json(operation)}</details>"


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
