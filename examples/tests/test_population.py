"""Fictitious families: always the same, never sharing a number, with enough citizen numbers left for the newborns."""

import time
from collections import Counter
from datetime import date, timedelta

import pytest
from yijian_contracts.identifiers import Sex, is_bank_card, is_marriage_certificate_no, is_mobile, parse_citizen_id
from yijian_examples.family import Kind
from yijian_examples.population import MAX_FAMILIES, family, kind_of

TODAY = date(2026, 11, 21)


def test_the_same_index_is_always_the_same_family() -> None:
    assert family(77, today=TODAY) == family(77, today=TODAY)
    assert family(77, today=TODAY) != family(78, today=TODAY)
    assert family(77, today=TODAY).mother == family(77, today=TODAY + timedelta(400)).mother


@pytest.mark.parametrize("n", [1, 2, 3, 40, 41, 233_761, 999_999, MAX_FAMILIES])
def test_every_number_of_a_family_holds(n: int) -> None:
    subject = family(n, today=TODAY)
    mother, father = parse_citizen_id(subject.mother.id_no), parse_citizen_id(subject.father.id_no)
    assert (mother.sex, mother.birth_date) == (Sex.FEMALE, subject.mother.birth_date)
    assert (father.sex, father.birth_date) == (Sex.MALE, subject.father.birth_date)
    assert is_mobile(subject.mother.mobile)
    assert is_mobile(subject.father.mobile)
    assert is_bank_card(subject.bank_account)
    assert subject.marriage is None or is_marriage_certificate_no(subject.marriage.cert_no)
    assert mother.area6 == father.area6
    assert mother.area6.startswith("9901")


def test_no_two_families_share_a_number() -> None:
    # Every family of the first turns, then a sample of all: the sequence first grows after 233,760 families.
    indexes = [*range(1, 20_000), *range(233_000, 240_000), *range(20_001, MAX_FAMILIES, 97)]
    indexes = sorted(set(indexes))
    families = [family(n, today=TODAY) for n in indexes]
    assert len({number for f in families for number in (f.mother.id_no, f.father.id_no)}) == 2 * len(families)
    assert len({f.delivery.inpatient_no for f in families if f.delivery.inpatient_no}) >= len(families) - 1
    homes = [home.number for f in families for home in f.households]
    assert len(set(homes)) == len(homes)


def test_a_hundred_thousand_births_leave_numbers_in_every_county_on_every_day() -> None:
    born: Counter[tuple[str, date, str]] = Counter()
    for n in range(1, 100_001):
        subject = family(n, today=TODAY)
        for child in subject.delivery.newborns:
            assert TODAY - timedelta(360) <= child.born_at.date() < TODAY
            born[subject.households[0].area[:6], child.born_at.date(), child.sex] += 1
    assert len({county for county, _, _ in born}) >= 30
    # Spread evenly, so a million, ten times as many, still stay below 500 of one sex in one place on one day.
    assert max(born.values()) * 10 < 500


def test_the_stories_are_the_first_families() -> None:
    assert [kind_of(n) for n in range(1, 8)] == [
        Kind.STANDARD,
        Kind.TWINS,
        Kind.UNMARRIED,
        Kind.DIFFERENT_DISTRICTS,
        Kind.CERTIFICATE_ISSUED,
        Kind.HOME_BIRTH,
        Kind.STANDARD,
    ]
    assert len(family(500, kind="twins", today=TODAY).delivery.newborns) == 2


@pytest.mark.parametrize("n", [0, -1, MAX_FAMILIES + 1])
def test_there_is_no_family_outside_the_range(n: int) -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        family(n)


def test_a_family_is_cheap() -> None:
    begun = time.process_time()
    for n in range(1, 5001):
        family(n, today=TODAY)
    assert time.process_time() - begun < 5000 * 0.0005
