"""How personal data looks to someone who need not see all of it.

Each rule is total: a value of an unexpected shape is hidden entirely, never shown as it is.
"""

# Surnames of two characters, so that the given name alone is hidden. source: 百家姓 (compound surnames in use today).
# fmt: off
_COMPOUND_SURNAMES = frozenset({
    "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人", "夏侯", "诸葛", "尉迟", "公羊",
    "赫连", "澹台", "皇甫", "宗政", "濮阳", "公冶", "太叔", "申屠", "公孙", "慕容", "仲孙", "钟离", "长孙", "宇文",
    "司徒", "鲜于", "司空", "闾丘", "子车", "亓官", "司寇", "巫马", "公西", "颛孙", "壤驷", "公良", "漆雕", "乐正",
    "宰父", "谷梁", "拓跋", "夹谷", "轩辕", "令狐", "段干", "百里", "呼延", "东郭", "南门", "羊舌", "微生", "公户",
    "公玉", "公仪", "梁丘", "公仲", "公上", "公门", "公山", "公坚", "左丘", "公伯", "西门", "公祖", "第五", "公乘",
    "贯丘", "公皙", "南荣", "东里", "东宫", "仲长", "子书", "子桑", "即墨", "达奚", "褚师",
})
# fmt: on
_STREET_ENDS = ("街道", "镇", "乡", "社区", "村")


def mask_name(name: str) -> str:
    """`张三` → `张*`, `张三丰` → `张**`, `欧阳锋` → `欧阳*`."""
    if len(name) < 2:
        return "*"
    kept = 2 if len(name) > 2 and name[:2] in _COMPOUND_SURNAMES else 1
    return name[:kept] + "*" * min(len(name) - kept, 2)


def _keep(value: str, first: int, last: int, *, at_least: int) -> str:
    if len(value) < at_least:
        return "*" * len(value)
    return value[:first] + "*" * (len(value) - first - last) + (value[-last:] if last else "")


def mask_id_no(id_no: str) -> str:
    """`990101199001010019` → `990***********0019`."""
    return _keep(id_no, 3, 4, at_least=15)


def mask_mobile(mobile: str) -> str:
    """`13812345678` → `138****5678`."""
    return _keep(mobile, 3, 4, at_least=11)


def mask_birth_certificate(number: str) -> str:
    """`Z990000001` → `Z99*****01`."""
    return _keep(number, 3, 2, at_least=10)


def mask_document_number(number: str) -> str:
    """`Z990000001` → `Z9******01`: enough to recognise a document by, not to use it."""
    shown = max(1, min(3, len(number) // 4))
    return _keep(number, shown, shown, at_least=4)


def mask_bank_card(number: str) -> str:
    """`6222021234561234` → `6222 **** **** 1234`."""
    if len(number) < 12:
        return "*" * len(number)
    return f"{number[:4]} **** **** {number[-4:]}"


def mask_date(date: str) -> str:
    """`2026-11-15` → `2026-**-**`."""
    return f"{date[:4]}-**-**" if date[:4].isdigit() and date[4:5] == "-" else "****"


def mask_address(address: str) -> str:
    """Down to the street or town: `某市某区某街道幸福路1号` → `某市某区某街道****`."""
    ends = [position + len(end) for end in _STREET_ENDS if (position := address.find(end)) > 0]
    return address[: min(ends)] + "****" if ends else "****"


def mask_email(address: str) -> str:
    """`zhang@x.cn` → `z***@x.cn`."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***@{domain}" if at and name and domain else "***"
