"""Free text before others read it: what tells who is meant is starred out, what was done stays readable."""

import pytest
from rating.plain_words import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("请致电13812345678", "请致电***"),
        ("身份证990101199202290029的申请", "身份证***的申请"),
        ("尾号 6222 0212 3456 1234", "尾号 ***"),
        ("号码Z990000001已注销", "号码***已注销"),
        ("写信到 wang@example.cn", "写信到 ***"),
        ("见 https://example.cn/case/7", "见 ***"),
        ("2026年11月20日上午来办", "***上午来办"),
        ("11月20日9:30来办", "******来办"),
        ("2026-11-20 09:30:15", "******"),
        ("我叫王小明，住在幸福路12号3单元", "我叫***，住在幸福路******"),
        ("母亲王秀英。", "母亲***。"),
        ("已向张女士道歉", "已***女士道歉"),
        ("车牌京A12345", "车牌***"),
    ],
)
def test_what_tells_who_is_starred_out(text: str, shown: str):
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "法律规定须本人到场。",
        "已增设2个窗口，平均等候缩短到15分钟。",
        "依据《户口登记条例》第七条，孩子须由监护人申报。",
        "已组织培训3次，共120人参加。",
    ],
)
def test_what_was_done_stays_readable(text: str):
    assert masked(text) == text
