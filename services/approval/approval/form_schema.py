"""A form's JSON Schema (2020-12): compiled with our formats, its mistakes told in Chinese, its places looked up.

The formats are the identifiers of `yijian_contracts.identifiers`; an unknown format is a mistake of the schema, not
something to let pass.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import jsonschema_rs
from yijian_contracts import identifiers
from yijian_contracts.areas import is_area_code

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Format:
    """A custom format: its check, what to tell a resident, and the rule of the domain that it carries out."""

    check: Callable[[str], bool]
    message: str
    rule: str = "FORM"


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    try:
        return 20 <= len(text) <= 35 and text[10] == "T" and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def formats(*, allow_fictitious: bool) -> dict[str, Format]:
    """Every format that a life event's schema may use; region 99 counts only where `allow_fictitious`."""
    return {
        "citizen-id": Format(identifiers.is_citizen_id, "身份证号码不正确，请核对18位号码", rule="V1"),
        "birth-certificate-no": Format(
            lambda text: identifiers.is_birth_certificate_no(text, allow_fictitious=allow_fictitious),
            "出生医学证明编号不正确：应为1位大写字母加9位数字，字母后两位为省份代码",
            rule="V4",
        ),
        "marriage-certificate-no": Format(
            identifiers.is_marriage_certificate_no, "结婚证字号不正确，格式如 J110101-2020-000123", rule="V8"
        ),
        "mobile": Format(identifiers.is_mobile, "手机号码不正确，应为11位数字"),
        "bank-card": Format(identifiers.is_bank_card, "银行账号不正确，请核对"),
        "area-code": Format(
            lambda text: is_area_code(text, allow_fictitious=allow_fictitious), "行政区划代码不存在，应为12位代码"
        ),
        "day": Format(_is_day, "日期不存在，格式如 2026-11-01"),
        "instant": Format(_is_instant, "时间不正确，格式如 2026-11-01T08:30:00+08:00"),
    }


class FormSchema:
    """A compiled schema: says everything that is wrong with a value at once."""

    def __init__(self, schema: Schema, *, allow_fictitious: bool) -> None:
        """Raises `ValueError` when `schema` is no JSON Schema or uses a format that nobody knows."""
        self.schema = schema
        self._formats = formats(allow_fictitious=allow_fictitious)
        self._validator = jsonschema_rs.Draft202012Validator(
            dict(schema),
            formats={name: entry.check for name, entry in self._formats.items()},
            validate_formats=True,
            ignore_unknown_formats=False,
        )

    def is_valid(self, value: Any) -> bool:
        return self._validator.is_valid(value)

    def mistakes(self, value: Any) -> Iterator[tuple[Path, str, str]]:
        """(place, Chinese message, rule) of each mistake. The place of something missing is where it should stand."""
        for error in self._validator.iter_errors(value):
            path: Path = tuple(error.instance_path)
            kind = error.kind.as_dict()
            if error.kind.name == "required":
                missing = kind["property"]
                yield (*path, missing), f"请填写{self._title((*path, missing))}", "FORM"
            elif error.kind.name == "additionalProperties":
                yield from self._unexpected(path, kind["unexpected"])
            elif error.kind.name == "format":
                known = self._formats[kind["format"]]
                yield path, known.message, known.rule
            else:
                yield path, _message(error.kind.name, kind, self._title(path)), "FORM"

    def _unexpected(self, path: Path, names: list[str]) -> Iterator[tuple[Path, str, str]]:
        for name in names[:20]:
            # A name of the sender's own making is repeated only while it is short enough to be a name.
            place = (*path, name) if len(name) <= 40 and name.isprintable() else path
            yield place, "表单没有这一项，请删除", "FORM"

    def _title(self, path: Path) -> str:
        found = schema_at(self.schema, path)
        title = found.get("title", "") if found else ""
        return f"“{title}”" if title else ""


_MESSAGES = {
    "type": "{title}的填写类型不正确",
    "enum": "{title}请从给定选项中选择",
    "const": "{title}请从给定选项中选择",
    "minLength": "请填写{title}",
    "maxLength": "{title}过长，最多{limit}个字",
    "pattern": "{title}的格式不正确",
    "minimum": "{title}过小，不得小于{limit}",
    "maximum": "{title}过大，不得大于{limit}",
    "minItems": "{title}至少填写{limit}项",
    "maxItems": "{title}最多填写{limit}项",
    "uniqueItems": "{title}有重复项",
}


def _message(kind: str, details: Mapping[str, Any], title: str) -> str:
    return _MESSAGES.get(kind, "{title}填写不正确").format(title=title, limit=details.get("limit"))


def schema_at(schema: Schema, path: Path) -> Schema | None:
    """The part of the schema for this place, `$ref` resolved; an index or ``*`` steps into a list.

    None when the schema has no such place.
    """
    here: Schema | None = schema
    for step in path:
        here = _resolved(schema, here)
        if here is None:
            return None
        here = here.get("items") if isinstance(step, int) or step == "*" else here.get("properties", {}).get(step)
    return _resolved(schema, here)


def title_at(schema: Schema, path: Path) -> str:
    """What residents call this place, after what they call the parts it lies in: ``母亲信息：姓名``."""
    places = (schema_at(schema, path[: n + 1]) for n in range(len(path)) if path[n] != "*")
    return "：".join(str(place["title"]) for place in places if place and place.get("title"))


def _resolved(root: Schema, part: Any) -> Schema | None:
    if not isinstance(part, Mapping):
        return None
    reference = part.get("$ref")
    if reference is None:
        return part
    target = root.get("$defs", {}).get(str(reference).removeprefix("#/$defs/"))
    # What stands beside a reference (a title of its own) counts before what it refers to.
    return {**target, **{k: v for k, v in part.items() if k != "$ref"}} if isinstance(target, Mapping) else None


def pointer(path: Path) -> str:
    """The JSON Pointer (RFC 6901) of a place."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


@lru_cache(maxsize=1024)
def parse_pointer(text: str) -> tuple[str, ...]:
    """The place of a pointer; ``*`` and numbers stay text."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def pointers(schema: Schema, prefix: tuple[str, ...] = ()) -> list[str]:
    """Every place that the schema knows, ``*`` standing for each item of a list."""
    here = schema_at(schema, prefix) or {}
    found = [pointer(prefix)] if prefix else []
    for name in here.get("properties", {}):
        found += pointers(schema, (*prefix, name))
    if "items" in here:
        found += pointers(schema, (*prefix, "*"))
    return found
