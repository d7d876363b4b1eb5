"""How a problem leaves the process: RFC 9457 answers for every error, and the page behind each `type` URI."""

from collections.abc import Callable
from html import escape
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from yijian_common.errors import (
    FieldError,
    Forbidden,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
    Unprocessable,
    UnsupportedMedia,
)

MEDIA_TYPE = "application/problem+json"
Translation = Callable[[Exception], Problem | None]

_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (MalformedRequest, Forbidden, NotFound, MethodNotAllowed, TooLarge, UnsupportedMedia, InternalError)
}

# pydantic's error types, in the words of someone who fills in a form; `{…}` are the error's own parameters.
_MESSAGES = {
    "missing": "必填",
    "extra_forbidden": "没有这个字段",
    "string_type": "应为文字",
    "string_too_short": "至少 {min_length} 个字",
    "string_too_long": "最多 {max_length} 个字",
    "string_pattern_mismatch": "格式不正确",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "finite_number": "应为有限的数字",
    "bool_type": "应为是或否",
    "bool_parsing": "应为是或否",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不能大于 {le}",
    "enum": "应为以下之一：{expected}",
    "literal_error": "应为以下之一：{expected}",
    "list_type": "应为列表",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
    "dict_type": "应为对象",
    "model_type": "应为对象",
    "model_attributes_type": "应为对象",
    "date_type": "应为日期，如 2026-11-21",
    "date_parsing": "不是存在的日期，应如 2026-11-21",
    "date_from_datetime_parsing": "不是存在的日期，应如 2026-11-21",
    "datetime_type": "应为时间，如 2026-11-21T08:00:00+08:00",
    "datetime_parsing": "不是存在的时间",
    "datetime_from_date_parsing": "不是存在的时间，应如 2026-11-21T08:00:00+08:00",
    "timezone_aware": "时间应带时区",
    "uuid_type": "应为编号（UUID）",
    "uuid_parsing": "应为编号（UUID）",
    "json_invalid": "不是合法的 JSON",
}


def respond(problem: Problem) -> Response:
    """The answer for `problem`."""
    headers = {**problem.headers, "Cache-Control": "no-store"}
    return JSONResponse(problem.as_json(), status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def from_http_exception(error: HTTPException) -> Problem:
    """The problem for what the framework itself raises: no route, no such method, an unreadable form."""
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return Unauthenticated()
    kind = _BY_STATUS.get(error.status_code, MalformedRequest if error.status_code < 500 else InternalError)
    return kind(headers=error.headers)


def from_validation_error(error: RequestValidationError) -> Problem:
    """All the places where a request does not fit its schema, in Chinese; what was sent is not repeated."""
    return Unprocessable(errors=[_field_error(detail) for detail in error.errors()])


def _field_error(detail: dict[str, Any]) -> FieldError:
    place, *path = detail["loc"]
    message = _message(detail)
    if place == "body":
        return FieldError(message, pointer=json_pointer(path))
    return FieldError(message, parameter=".".join(str(part) for part in path))


def _message(detail: dict[str, Any]) -> str:
    if detail["type"] == "value_error":  # a validator of ours: it speaks for itself
        return str(detail["ctx"]["error"])
    try:
        return _MESSAGES[detail["type"]].format_map(detail.get("ctx", {}))
    except KeyError:
        return "不符合要求"


def json_pointer(path: list[int | str]) -> str:
    """RFC 6901: `["a", 0, "b/c"]` is `/a/0/b~1c`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def register(app: FastAPI) -> None:
    """Render every error of `app` in this one way."""

    async def on_problem(_: Request, error: Exception) -> Response:
        match error:
            case Problem():
                return respond(error)
            case RequestValidationError():
                return respond(from_validation_error(error))
            case HTTPException():
                return respond(from_http_exception(error))
            case _:
                raise error

    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, on_problem)


pages = APIRouter(include_in_schema=False)


@pages.get("/problems/{name}")
async def explain_problem(name: str) -> Response:
    kind = Problem.kinds.get(name)
    if kind is None:
        raise NotFound
    return HTMLResponse(
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        f"<title>{escape(kind.title)}</title><h1>{escape(kind.title)}</h1>"
        f"<p>{escape(kind.advice)}</p><p>HTTP {kind.status} · <code>{escape(kind.name)}</code></p></html>",
        headers={"Content-Security-Policy": "default-src 'none'"},
    )
