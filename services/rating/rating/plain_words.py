"""Free text as others may read it: whatever looks like a person, a number or a place of somebody is starred out.

Rules for patterns, so not a promise that no name is left: what a resident wrote is never published, and what a
department writes is published only after this.
"""

import re

STARS = "***"
_TITLES = "同志|先生|女士|小姐|太太|老师|医生|护士|主任|科长|处长|警官|法官|经理"
_ROLES = "我叫|我是|本人|姓名|名叫|申请人|当事人|家属|母亲|父亲|孩子|婴儿|联系人"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
# The hundred and twenty most common ones; a name without any of them is not found (source: 全国姓名报告, 公安部).
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈"
    "钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严欧莫孔向常汤康易乔"
    "赖文施洪辛齐伍庞樊殷"
)
_HAN = "[\u4e00-\u9fff]"
# Numbers of people, documents, telephones and vehicles; dates and times of day, which say whose case it was; places;
# names where the words around them say so.
_HIDDEN = tuple(
    re.compile(pattern)
    for pattern in (
        r"[\w.+-]+@[\w-]+\.[\w.-]+",
        r"(?:https?://|www\.)\S+",
        rf"[{_PROVINCES}][A-Z][·\s]?[A-Z0-9]{{5,6}}",
        r"\d{1,4}\s*[年/.-]\s*\d{1,2}\s*[月/.-]\s*\d{1,2}\s*[日号]?",
        r"\d{1,2}\s*月\s*\d{1,2}\s*[日号]",
        r"\d{1,2}\s*[:：]\s*\d{2}(?:\s*[:：]\s*\d{2})?",
        r"[A-Za-z]{0,8}[-_]?\d(?:[\s-]?[\dXx]){4,}",
        r"\d+\s*(?:号楼|栋|幢|单元|室|号院|弄)",
        r"(?<=[路街道巷])\s*\d+\s*号",
        rf"{_HAN}{{1,2}}(?={_TITLES})",
    )
)
_NAMED = re.compile(rf"({_ROLES})([是为叫:：\s]*)[{_SURNAMES}]{_HAN}{{1,3}}(?=[，。,.；;、\s]|$)")


def masked(text: str) -> str:
    """`text` with what could tell who is meant starred out."""
    text = _NAMED.sub(rf"\1\2{STARS}", text)
    for pattern in _HIDDEN:
        text = pattern.sub(STARS, text)
    return text
