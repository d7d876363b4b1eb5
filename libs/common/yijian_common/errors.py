"""Errors are nouns with a status, raised where the rule lives and rendered in one place (RFC 9457).

    Problem
    ├── MalformedRequest 400      ├── Conflict 409               ├── Unprocessable 422
    ├── Unauthenticated 401       ├── TooLarge 413               ├── TooManyRequests 429
    ├── Forbidden 403             ├── UnsupportedMedia 415       ├── InternalError 500
    ├── NotFound 404              ├── RequestTimeout 408         └── ServiceUnavailable 503
    └── MethodNotAllowed 405

A service adds its own nouns by subclassing the nearest one: the class gives the `type` URI (`/problems/<name>`, which
every service resolves), the status and the title; the instance gives the detail. Titles and details are for residents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong at one place of the request: a JSON Pointer (RFC 6901) into the body, or a parameter's name."""

    message: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        place = {"pointer": self.pointer} if self.pointer is not None else {"parameter": self.parameter or ""}
        return {**place, "message": self.message}


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A refusal that the caller is told. `detail` never repeats what was sent, nor anything from inside."""

    kinds: ClassVar[dict[str, "type[Problem]"]] = {}

    status: ClassVar[int] = 500
    name: ClassVar[str] = "problem"
    title: ClassVar[str] = "请求未能完成"
    advice: ClassVar[str] = "请稍后再试；如仍不成功，请联系办事窗口。"

    def __init_subclass__(cls) -> None:
        Problem.kinds[cls.name] = cls

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = members

    @property
    def type(self) -> str:
        return f"/problems/{self.name}"

    def as_json(self) -> dict[str, Any]:
        """The members of `application/problem+json`."""
        body: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if self.errors:
            body["errors"] = [error.as_json() for error in self.errors]
        return body


class MalformedRequest(Problem):
    status = 400
    name = "malformed-request"
    title = "请求的格式不正确"
    advice = "请求无法读懂。请检查内容是否为合法的 JSON、是否缺少必需的请求头。"


class Unauthenticated(Problem):
    status = 401
    name = "unauthenticated"
    title = "请先登录"
    advice = "没有登录，或登录已经过期。请重新登录后再试。"

    def __init__(self, detail: str | None = None, *, token_error: bool = False) -> None:
        challenge = 'Bearer error="invalid_token"' if token_error else "Bearer"  # RFC 6750 §3
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    status = 403
    name = "forbidden"
    title = "没有权限"
    advice = "当前身份不能进行这项操作。"


class NotFound(Problem):
    status = 404
    name = "not-found"
    title = "没有找到"
    advice = "要找的内容不存在，或者不属于当前登录人。"


class MethodNotAllowed(Problem):
    status = 405
    name = "method-not-allowed"
    title = "不支持这种操作"
    advice = "这个地址不支持所用的 HTTP 方法，可用的方法见 Allow 响应头。"


class RequestTimeout(Problem):
    status = 408
    name = "request-timeout"
    title = "请求发送太慢"
    advice = "请求没有在规定时间内发送完。请检查网络后重试。"


class Conflict(Problem):
    status = 409
    name = "conflict"
    title = "与当前状态冲突"
    advice = "内容已经变化，或者同样的请求正在处理。请刷新后再试。"


class TooLarge(Problem):
    status = 413
    name = "too-large"
    title = "内容太大"
    advice = "请求的内容超过了上限。"


class UnsupportedMedia(Problem):
    status = 415
    name = "unsupported-media"
    title = "不支持这种内容类型"
    advice = "请使用 application/json。"


class Unprocessable(Problem):
    status = 422
    name = "unprocessable"
    title = "填写的内容有误"
    advice = "请按 errors 中的提示逐项修改：pointer 指出位置，message 说明原因。"


class TooManyRequests(Problem):
    status = 429
    name = "too-many-requests"
    title = "操作太频繁"
    advice = "请按 Retry-After 响应头给出的秒数等待后再试。"

    def __init__(self, detail: str | None = None, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class InternalError(Problem):
    status = 500
    name = "internal-error"
    title = "系统出现了问题"
    advice = "不是您的错。问题已经记录，请稍后再试；联系我们时请提供响应头 X-Request-ID 的值。"


class ServiceUnavailable(Problem):
    status = 503
    name = "service-unavailable"
    title = "服务暂时不可用"
    advice = "请按 Retry-After 响应头给出的秒数等待后再试，已提交的内容不会丢失。"

    def __init__(self, detail: str | None = None, *, retry_after: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
