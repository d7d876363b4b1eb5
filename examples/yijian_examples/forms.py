"""The application that a family's mother hands in, and the example files with their dates moved to another day."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from yijian_examples.family import Family, Household, Kind, Newborn, Person
from yijian_examples.population import family as family_of

EXAMPLES_TODAY = date(2026, 11, 21)
"""The day as of which the files in ``examples/birth`` are written."""

FOLDER = Path(__file__).parent.parent / "birth"


AGREED = {
    "MOTHER": ["card-notice", "payment-account", "benefit-account", "parenting-guidance"],
    "FATHER": ["card-notice", "card-guardian", "payment-account", "parenting-guidance"],
}
"""What each parent agrees to with the form, when it is they who apply; the other one is asked for the rest."""


def form_of(family: Family, *, applicant: str = "MOTHER") -> dict[str, Any]:
    """The filled-in form of this family, signed on its `today` by the parent who applies (MOTHER or FATHER)."""
    applies = family.mother if applicant == "MOTHER" else family.father
    mother_home, father_home = family.households[0], family.households[-1]
    follow_father = family.kind is Kind.DIFFERENT_DISTRICTS
    home = father_home if follow_father else mother_home
    form: dict[str, Any] = {
        "applicant": {"relation": applicant, "mobile": applies.mobile, "delivery": {"mode": "NONE"}},
        "mother": {
            **_parent(family.mother, mother_home),
            "insurance": {"type": family.insurance.type, "place_code6": family.insurance.place_code6},
        },
        "father": _parent(family.father, father_home),
        "marriage": _marriage(family),
        "delivery": _delivery(family),
        "newborns": [_newborn(newborn, family) for newborn in family.delivery.newborns],
        "hukou": {
            "follow": "FATHER" if follow_father else "MOTHER",
            "target_household_no": home.number,
            "target_address": home.address,
            "target_code12": home.area,
            "householder_consent": _signature(family, 3),
            "other_side_not_registered": True,
        },
        "insurance": {"join": True, "pay_year": family.today.year, "payer_account": family.bank_account},
        "benefit": {
            "claim": True,
            "bank_account_holder": family.mother.name,
            "bank_account_no": family.bank_account,
            "bank_name": "虚构银行",
        },
        "services": {"social_security_card": True, "parenting_guidance": True},
        "consents": {
            "agreed": list(AGREED[applicant]),
            "signed_at": f"{family.today.isoformat()}T09:00:00+08:00",
        },
    }
    if family.kind is Kind.CERTIFICATE_ISSUED:
        form["already_done"] = ["B2"]
    if family.kind is Kind.HOME_BIRTH:
        form["evidence"] = [{"kind": "DELIVERY_WITNESS", "reference": f"doc-{family.n:016d}"}]
    return form


def other_parent(account: str, form: Mapping[str, Any]) -> str | None:
    """The account of the parent who has to be asked beside the one who applies: None where the form names nobody else.

    Only of forms that are about the account's own family.
    """
    found = re.fullmatch(r"(mother|father)-([0-9]{6,7})", account)
    if found is None or "father" not in form:
        return None
    one = family_of(int(found[2]))
    if [form[role].get("id_no") for role in ("mother", "father")] != [one.mother.id_no, one.father.id_no]:
        return None
    return one.father_account if found[1] == "mother" else one.account


def example(kind: Kind | str, *, today: date) -> dict[str, Any]:
    """The example application of this kind as if it were filled in on `today`."""
    form = json.loads((FOLDER / f"{Kind(kind)}.json").read_text(encoding="utf-8"))
    return shifted(form, today=today)


def shifted(form: dict[str, Any], *, today: date, written: date = EXAMPLES_TODAY) -> dict[str, Any]:
    """A form that was filled in on `written`, with births and signature as far from `today` as they were from then."""
    moved = deepcopy(form)
    by = today - written
    for newborn in moved["newborns"]:
        newborn["birth_datetime"] = _later(newborn["birth_datetime"], by)
    moved["consents"]["signed_at"] = _later(moved["consents"]["signed_at"], by)
    if "pay_year" in moved["insurance"]:
        moved["insurance"]["pay_year"] += today.year - written.year
    return moved


def _later(instant: str, by: timedelta) -> str:
    return (datetime.fromisoformat(instant) + by).isoformat()


def _parent(person: Person, home: Household) -> dict[str, Any]:
    return {
        "name": person.name,
        "nationality": "CHN",
        "id_type": "ID_CARD",
        "id_no": person.id_no,
        "birth_date": person.birth_date.isoformat(),
        "ethnicity": "01",
        "hukou": {"type": home.type, "address": home.address, "code12": home.area, "household_no": home.number},
        "mobile": person.mobile,
    }


def _marriage(family: Family) -> dict[str, Any]:
    if family.marriage is None:
        return {"status": "UNMARRIED", "statement": _signature(family, 4)}
    return {
        "status": "MARRIED",
        "cert_no": family.marriage.cert_no,
        "reg_date": family.marriage.reg_date.isoformat(),
        "reg_org": family.marriage.reg_org,
    }


def _delivery(family: Family) -> dict[str, Any]:
    delivery = family.delivery
    known = {
        "place": delivery.place,
        "institution_code": delivery.institution_code,
        "institution_name": delivery.institution_name,
        "inpatient_no": delivery.inpatient_no,
        "plurality": len(delivery.newborns),
    }
    return {name: value for name, value in known.items() if value is not None}


def _newborn(newborn: Newborn, family: Family) -> dict[str, Any]:
    form = {
        "order": newborn.order,
        "sex": newborn.sex,
        "birth_datetime": newborn.born_at.isoformat(),
        "gestation_weeks": newborn.gestation_weeks,
        "weight_g": newborn.weight_g,
        "length_cm": newborn.length_cm,
        "surname": newborn.surname,
        "given_name": newborn.given_name,
        "surname_source": "MOTHER" if family.kind is Kind.UNMARRIED else "FATHER",
        "ethnicity": "01",
    }
    return form if newborn.certificate_no is None else {**form, "birth_cert_no": newborn.certificate_no}


def _signature(family: Family, number: int) -> str:
    return f"sig-{family.n:012d}-{number:03d}"
