"""Families by index: `family(n)` is always the same family, and no two indexes up to a million share a number.

Everything is arithmetic on the index. Parents spread over the counties of region 99 and 5,844 birth dates; births over
the counties and the 360 days before `today`, so that no county and day comes near the 500 numbers that one sex has.
"""

from datetime import date, datetime, time, timedelta, timezone

from yijian_contracts.areas import AreaLevel, area_level, areas
from yijian_contracts.identifiers import luhn_check, make_birth_certificate_no, make_citizen_id

from yijian_examples.family import Delivery, Family, Household, Insurance, Kind, Marriage, Newborn, Person

MAX_FAMILIES = 1_000_000
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

STORIES = {
    2: Kind.TWINS,
    3: Kind.UNMARRIED,
    4: Kind.DIFFERENT_DISTRICTS,
    5: Kind.CERTIFICATE_ISSUED,
    6: Kind.HOME_BIRTH,
}
"""The few indexes that are not standard by themselves: one family for each example application."""

_CITY = "9901"
_CITY_NAME = "虚构市"
_COUNTIES = tuple(
    sorted(
        (code[:6], area.name)
        for code, area in areas(allow_fictitious=True).items()
        if code.startswith(_CITY) and area_level(code) is AreaLevel.COUNTY
    )
)
_MOTHERS_FROM = date(1988, 1, 1)
_FATHERS_FROM = date(1986, 1, 1)
_BIRTH_DATES = 5_844  # days of sixteen years
_DAYS = 360
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_WOMEN = "芳敏静丽娟艳霞玲慧婷洁燕佳怡雪梅思雨桂英"
_MEN = "伟强磊军勇杰涛斌浩鹏志文博宇航子明辉天永"
_CHILDREN = "安宁乐晨曦悦语涵萱然诺阳溪辰知嘉禾清念书"


def kind_of(n: int) -> Kind:
    """What kind of family index `n` is when nobody asks for another."""
    return STORIES.get(n, Kind.STANDARD)


def family(n: int, *, kind: Kind | str | None = None, today: date | None = None) -> Family:
    """The family of index `n` (1 to a million) as it stands on `today` (in Asia/Shanghai, where not given).

    The same index, kind and day always give the same family. `kind` is that of `kind_of` unless another is asked for.
    """
    if not 1 <= n <= MAX_FAMILIES:
        raise ValueError(f"a family has an index between 1 and {MAX_FAMILIES}")
    chosen = kind_of(n) if kind is None else Kind(kind)
    day = today or datetime.now(SHANGHAI).date()
    # Index 1 opens county 0 and date 0; the county goes round first, then the date, then the sequence.
    turn, county = divmod(n - 1, len(_COUNTIES))
    mother = _parent(n, county, turn, female=True)
    father = _parent(n, county, turn, female=False)
    households = _households(n, county, mother, father, chosen)
    surname = (mother if chosen is Kind.UNMARRIED else father).name[0]
    return Family(
        n=n,
        kind=chosen,
        today=day,
        mother=mother,
        father=father,
        households=households,
        marriage=None if chosen is Kind.UNMARRIED else _marriage(n, county, mother),
        delivery=_delivery(n, county, turn, chosen, day, surname),
        insurance=Insurance(
            type="RESIDENT" if n % 4 == 0 else "EMPLOYEE",
            place_code6=_COUNTIES[county][0],
            total_fen=300_000 + n % 977 * 100,
            settled=False,
            exempt=n % 20 == 0,
        ),
        bank_account=_bank_account(n),
    )


def _parent(n: int, county: int, turn: int, *, female: bool) -> Person:
    sequence, position = divmod(turn, _BIRTH_DATES)
    # A step coprime to the number of dates scatters neighbours; adding the county separates equal dates.
    born = (_MOTHERS_FROM if female else _FATHERS_FROM) + timedelta((position * 1_237 + county * 17) % _BIRTH_DATES)
    names = _WOMEN if female else _MEN
    given = names[(n // 7 + county) % 20] + names[n * 3 % 20]
    surname = _SURNAMES[(n * 13 + county) % 40] if female else _SURNAMES[(n * 7 + 1) % 40]
    return Person(
        name=surname + given,
        id_no=make_citizen_id(_COUNTIES[county][0], born, 2 * sequence + (2 if female else 1)),
        birth_date=born,
        mobile=f"1{3 if female else 5}9{n:08d}",
    )


def _households(n: int, county: int, mother: Person, father: Person, kind: Kind) -> tuple[Household, ...]:
    if kind in (Kind.DIFFERENT_DISTRICTS, Kind.UNMARRIED):
        return (
            _household(f"{_CITY}{n:09d}", county, n, (mother.id_no,)),
            _household(f"{_CITY}8{n:08d}", (county + 1) % len(_COUNTIES), n, (father.id_no,)),
        )
    return (_household(f"{_CITY}{n:09d}", county, n, (mother.id_no, father.id_no)),)


def _household(number: str, county: int, n: int, members: tuple[str, ...]) -> Household:
    code, name = _COUNTIES[county]
    street, community = n % 3 + 1, n // 3 % 3 + 1
    return Household(
        number=number,
        type="FAMILY",
        area=f"{code}{street:03d}{community:03d}",
        address=f"{_CITY_NAME}{name}第{street}街道第{community}社区{n % 500 + 1}号",
        members=members,
    )


def _marriage(n: int, county: int, mother: Person) -> Marriage:
    code, name = _COUNTIES[county]
    day = date(mother.birth_date.year + 22, 5, 1) + timedelta(n % 200)
    return Marriage(
        cert_no=f"J{code}-{day.year}-{n % 1_000_000:06d}", reg_date=day, reg_org=f"{_CITY_NAME}{name}民政局"
    )


def _delivery(n: int, county: int, turn: int, kind: Kind, today: date, surname: str) -> Delivery:
    code, name = _COUNTIES[county]
    day = today - timedelta(days=6 + turn * 7 % (_DAYS - 6))
    born_at = datetime.combine(day, time(n * 7 % 22, n * 11 % 60), SHANGHAI)
    newborns = tuple(
        Newborn(
            order=order,
            sex="1" if (n + order) % 2 == 0 else "2",
            born_at=born_at + timedelta(minutes=12 * (order - 1)),
            surname=surname,
            given_name=_CHILDREN[(n + order - 1) % 20] + _CHILDREN[n // 20 % 20],
            weight_g=2600 + (n * 31 + order * 7) % 1400,
            length_cm=47 + (n + order) % 7,
            gestation_weeks=37 + n % 4,
            # A print batch of its own, far from the numbers that the commission goes on to issue.
            certificate_no=make_birth_certificate_no("C", "99", n) if kind is Kind.CERTIFICATE_ISSUED else None,
        )
        for order in range(1, 3 if kind is Kind.TWINS else 2)
    )
    if kind is Kind.HOME_BIRTH:
        return Delivery("HOME", None, None, None, newborns)
    return Delivery(
        place="HOSPITAL",
        institution_code=f"{code}000001",
        institution_name=f"{_CITY_NAME}{name}妇幼保健院",
        inpatient_no=f"ZY{n:08d}",
        newborns=newborns,
    )


def _bank_account(n: int) -> str:
    digits = f"622202{n:012d}"
    return digits + luhn_check(digits)
