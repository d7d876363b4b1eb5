"""Reading `application/x-www-form-urlencoded` as OAuth means it: no parameter twice, none empty counts as given."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from identity.errors import OAuthError

MEDIA_TYPE = "application/x-www-form-urlencoded"
MOST_PARAMETERS = 40
_REPEATABLE = frozenset({"resource"})  # RFC 8707 §2


class RepeatedParameterError(ValueError):
    """RFC 6749 §3.1: parameters must not be included more than once."""


def parse(encoded: str) -> dict[str, str]:
    """The parameters of a query string or form. Raises `ValueError` for what no honest client sends.

    `resource` may be repeated; the values are joined by a space.
    """
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="strict"):
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name + value):
            raise ValueError("a control character")
        if name not in parameters:
            parameters[name] = value
        elif name in _REPEATABLE:
            parameters[name] += f" {value}"
        else:
            raise RepeatedParameterError("a parameter is given twice")
    return {name: value for name, value in parameters.items() if value}


async def parse_form(request: Request) -> Mapping[str, str]:
    """The form of a POST. Raises `OAuthError` (invalid_request)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise OAuthError("invalid_request", f"the body must be {MEDIA_TYPE}")
    try:
        return parse((await request.body()).decode("utf-8"))
    except ValueError:
        raise OAuthError("invalid_request", "the form cannot be read, or gives a parameter twice") from None


def form_body(properties: Mapping[str, str], *required: str) -> dict[str, object]:
    """The OpenAPI `requestBody` of a form with these fields and their descriptions."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in properties.items()},
        "required": list(required),
    }
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}}
