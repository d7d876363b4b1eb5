"""A task's fields as an official sees them before asking for more: what a name does not explain is hidden entirely."""

from collections.abc import Callable

from pydantic import JsonValue
from yijian_common import masking

HIDDEN = "****"

_BY_ENDING: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("id_no", masking.mask_id_no),
    ("name", masking.mask_name),
    ("mobile", masking.mask_mobile),
    ("address", masking.mask_address),
    ("account_no", masking.mask_bank_card),
    ("cert_no", masking.mask_birth_certificate),
    ("certificate_no", masking.mask_birth_certificate),
    ("date", masking.mask_date),
    ("datetime", masking.mask_date),
)


def masked(value: JsonValue, name: str = "") -> JsonValue:
    """`value` of the field `name`, masked throughout; objects keep their field names."""
    match value:
        case dict():
            return {key: masked(member, key) for key, member in value.items()}
        case list():
            return [masked(item, name) for item in value]
        case bool() | None:
            return value
        case str():
            rule = next((rule for ending, rule in _BY_ENDING if name.endswith(ending)), None)
            return rule(value) if rule else HIDDEN
        case _:
            return HIDDEN
