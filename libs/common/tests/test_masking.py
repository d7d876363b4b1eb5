"""What someone who need not see all of it sees."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_common import masking

RULES = [
    (masking.mask_name, "张三", "张*"),
    (masking.mask_name, "张三丰", "张**"),
    (masking.mask_name, "欧阳锋", "欧阳*"),
    (masking.mask_name, "欧阳娜娜", "欧阳**"),
    (masking.mask_name, "欧阳", "欧*"),
    (masking.mask_name, "阿卜杜拉·买买提", "阿**"),
    (masking.mask_name, "张", "*"),
    (masking.mask_name, "", "*"),
    (masking.mask_id_no, "990101199001010019", "990***********0019"),
    (masking.mask_id_no, "9901", "****"),
    (masking.mask_mobile, "13812345678", "138****5678"),
    (masking.mask_mobile, "138", "***"),
    (masking.mask_address, "某市某区某街道幸福路1号", "某市某区某街道****"),
    (masking.mask_address, "某县某镇某村3号", "某县某镇****"),
    (masking.mask_address, "幸福路1号", "****"),
    (masking.mask_bank_card, "6222021234561234", "6222 **** **** 1234"),
    (masking.mask_bank_card, "62220", "*****"),
    (masking.mask_birth_certificate, "Z990000001", "Z99*****01"),
    (masking.mask_birth_certificate, "Z99", "***"),
    (masking.mask_document_number, "Z990000001", "Z9******01"),
    (masking.mask_document_number, "990199-2026-000001", "990************001"),
    (masking.mask_document_number, "S-1", "***"),
    (masking.mask_date, "2026-11-15", "2026-**-**"),
    (masking.mask_date, "tomorrow", "****"),
    (masking.mask_email, "zhang@x.cn", "z***@x.cn"),
    (masking.mask_email, "zhang", "***"),
]


@pytest.mark.parametrize(("mask", "value", "shown"), RULES)
def test_each_rule_shows_what_it_may(mask: Callable[[str], str], value: str, shown: str) -> None:
    assert mask(value) == shown


@pytest.mark.parametrize("mask", sorted({mask for mask, _, _ in RULES}, key=lambda mask: mask.__name__))
@given(value=st.text(min_size=1, max_size=40).filter(lambda text: not set(text) <= set("* ")))
def test_no_value_is_shown_whole(mask: Callable[[str], str], value: str) -> None:
    assert mask(value) != value
