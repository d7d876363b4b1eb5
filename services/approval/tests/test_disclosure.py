"""A department gets what its matter declares and nothing else; what comes back has to fit just as exactly."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import approval
import pytest
from approval.disclosure import check_answer, correctable, disclose
from approval.life_event import load_life_event
from pydantic import JsonValue
from yijian_contracts.events import AnswerParts, Correction, IssuedDocument, Outcome, TaskAnswered
from yijian_examples.family import Kind
from yijian_examples.forms import example

FILE = Path(approval.__file__).parent / "life_events" / "birth.yaml"
BIRTH = load_life_event(FILE, allow_fictitious=True)
AT_BIRTH = load_life_event(FILE, settings_overrides={"med_insurance_key": "BIRTH_CERT"}, allow_fictitious=True)
TODAY = date(2026, 11, 21)
STANDARD = example(Kind.STANDARD, today=TODAY)
TWINS = example(Kind.TWINS, today=TODAY)
OUTPUTS: dict[str, dict[str, JsonValue]] = {
    "C1": {"marriage_verified": True},
    "B2-1": {"birth_cert_no": "Z990000001"},
    "B2-2": {"birth_cert_no": "Z990000002"},
    "B4-1": {"citizen_id_no": "990102202611150044"},
    "B4-2": {"citizen_id_no": "990102202611150036"},
}


def answered(
    matter: str,
    outcome: Outcome = Outcome.APPROVED,
    *,
    outputs: dict[str, JsonValue] | None = None,
    documents: dict[str, str] | None = None,
    pointers: tuple[str, ...] = (),
) -> TaskAnswered:
    return TaskAnswered(
        application_id=uuid4(),
        department=BIRTH.matters[matter].department,
        task_id=uuid4(),
        matter=matter,
        outcome=outcome,
        corrections=tuple(Correction(pointer=pointer, message="请核对") for pointer in pointers),
        decided_at=datetime(2026, 11, 21, tzinfo=UTC),
        personal=AnswerParts(
            outputs=outputs or {},
            documents=tuple(IssuedDocument(kind=kind, number=number) for kind, number in (documents or {}).items()),
        ),
    )


CERTIFICATE = {"birth_cert_no": "Z990000001"}


def test_the_tax_office_learns_what_it_needs_and_no_more() -> None:
    given = disclose(BIRTH, "B7", 1, STANDARD, {**OUTPUTS, "B5-1": {"med_insurance_no": "YB990101-1"}})
    assert set(given.fields) == {
        "med_insurance_no",
        "surname",
        "given_name",
        "birth_datetime",
        "mother_name",
        "mother_id_no",
        "pay_year",
        "target_code12",
        "payer_account",
    }
    text = json.dumps(given.fields, ensure_ascii=False)
    assert STANDARD["father"]["id_no"] not in text
    assert STANDARD["marriage"]["cert_no"] not in text


@pytest.mark.parametrize("matter", BIRTH.matters)
def test_every_field_that_is_sent_is_disclosed_with_its_source_and_basis(matter: str) -> None:
    child = 1 if BIRTH.matters[matter].per_child else None
    given = disclose(BIRTH, matter, child, STANDARD, OUTPUTS)
    disclosed = [field for part in given.disclosed.parts for field in part.fields]
    assert sorted(field.name for field in disclosed) == sorted(given.fields)
    assert {part.basis.kind for part in given.disclosed.parts} <= {"LAW", "CONSENT"}
    assert all(field.source.startswith("/") or "." in field.source for field in disclosed)
    values = {str(value) for value in given.fields.values() if len(str(value)) > 8}
    text = json.dumps([part.model_dump() for part in given.disclosed.parts], ensure_ascii=False)
    assert not any(value in text for value in values)


def test_every_field_is_told_by_the_name_that_residents_know_it_by() -> None:
    titles = {
        f.name: f.title for part in disclose(BIRTH, "B4", 1, STANDARD, OUTPUTS).disclosed.parts for f in part.fields
    }
    assert titles["mother_name"] == "母亲信息：姓名"
    assert titles["father_hukou_address"] == "父亲信息：户籍：户籍地址"
    assert titles["given_name"] == "新生儿：名"
    assert titles["birth_cert_no"] == "出生医学证明编号"
    every = [field for matter in BIRTH.matters.values() for field in matter.fields]
    assert all(re.search("[\u4e00-\u9fff]", field.title) for field in every)


def test_every_field_says_whom_it_is_about() -> None:
    told = {
        f.name: part.concerns
        for matter, child in (("B4", 1), ("B7", 1), ("B8", None), ("B6", 1), ("B2", 1))
        for part in disclose(BIRTH, matter, child, STANDARD, OUTPUTS).disclosed.parts
        for f in part.fields
    }
    assert told["mother_id_no"] == ("MOTHER",)
    assert told["father_id_no"] == ("FATHER",)
    assert told["given_name"] == ("CHILD",)
    assert told["delivery_place"] == ("MOTHER", "CHILD")
    assert told["marriage_status"] == ("MOTHER", "FATHER"), "what nobody is named for is about everybody"
    assert told["birth_cert_no"] == ("CHILD",), "the output of a matter of one child"
    assert told["marriage_verified"] == ("MOTHER", "FATHER"), "the output of a matter of the whole application"
    assert told["guardian_mobile"] == told["payer_account"] == ("MOTHER",), "she applies"


def test_whoever_applies_is_who_the_applicants_part_is_about() -> None:
    by_father = {**STANDARD, "applicant": {**STANDARD["applicant"], "relation": "FATHER"}}
    (roles,) = (
        part.concerns
        for part in disclose(BIRTH, "B6", 1, by_father, OUTPUTS).disclosed.parts
        for f in part.fields
        if f.name == "guardian_mobile"
    )
    assert roles == ("FATHER",)


def test_each_twin_is_told_apart() -> None:
    second = disclose(BIRTH, "B4", 2, TWINS, OUTPUTS).fields
    assert (second["birth_order"], second["given_name"]) == (2, TWINS["newborns"][1]["given_name"])
    assert second["birth_cert_no"] == "Z990000002"


def test_a_matter_of_the_whole_application_gets_the_outputs_of_all_children() -> None:
    assert disclose(BIRTH, "B8", None, TWINS, OUTPUTS).fields["birth_cert_nos"] == ["Z990000001", "Z990000002"]
    one_denied = {key: value for key, value in OUTPUTS.items() if key != "B2-1"}
    assert disclose(BIRTH, "B8", None, TWINS, one_denied).fields["birth_cert_nos"] == ["Z990000002"]


def test_what_is_not_there_is_neither_sent_nor_disclosed() -> None:
    given = disclose(BIRTH, "B4", 1, example(Kind.UNMARRIED, today=TODAY), {})
    names = {field.name for part in given.disclosed.parts for field in part.fields}
    assert {"marriage_verified", "birth_cert_no", "evidence"}.isdisjoint(names | set(given.fields))
    assert "unmarried_statement" in names


def test_insured_at_birth_the_bureau_gets_the_certificate_instead_of_the_citizen_number() -> None:
    assert "citizen_id_no" in disclose(BIRTH, "B5", 1, STANDARD, OUTPUTS).fields
    at_birth = disclose(AT_BIRTH, "B5", 1, STANDARD, OUTPUTS).fields
    assert at_birth["birth_cert_no"] == "Z990000001"
    assert "citizen_id_no" not in at_birth
    assert disclose(AT_BIRTH, "B5-rekey", 1, STANDARD, OUTPUTS).fields["citizen_id_no"] == "990102202611150044"


def test_a_consent_basis_names_its_purpose() -> None:
    assert {f.basis.reference for f in BIRTH.matters["B9"].consented} == {"用于登记并联系您参加科学育儿指导服务"}
    assert BIRTH.matters["B2"].consented == ()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (answered("B2", outputs=CERTIFICATE, documents={"birth-certificate": "Z990000001"}), None),
        (answered("B2", Outcome.PROVEN, outputs=CERTIFICATE), None),
        (answered("B2", Outcome.REJECTED), None),
        (answered("B2", Outcome.NOT_ACCEPTED), None),
        (answered("B2", Outcome.RETURNED, pointers=("/newborns/0/weight_g", "/mother/name")), None),
        (answered("B2", Outcome.RETURNED, pointers=("/evidence/0/reference",)), None),
        (answered("B2", documents={"birth-certificate": "Z990000001"}), "birth_cert_no is missing or wrong"),
        (answered("B2", outputs={"birth_cert_no": "Z980000001"}), "birth_cert_no is missing or wrong"),
        (answered("B2", outputs={"birth_cert_no": 5}), "birth_cert_no is missing or wrong"),
        (answered("B2", outputs={**CERTIFICATE, "secret": "x"}), "an output is not declared"),
        (answered("B2", outputs=CERTIFICATE), "the document birth-certificate is missing"),
        (answered("B2", outputs=CERTIFICATE, documents={"passport": "1"}), "a document is not declared"),
        (answered("B2", Outcome.REJECTED, outputs=CERTIFICATE), "brings no outputs"),
        (answered("B2", Outcome.REJECTED, documents={"birth-certificate": "1"}), "brings no outputs"),
        (answered("B2", Outcome.RETURNED), "without naming a field"),
        (answered("B2", Outcome.RETURNED, pointers=("/benefit/bank_account_no",)), "does not receive"),
        (answered("B2", Outcome.RETURNED, pointers=("/newborns/x/sex",)), "does not receive"),
        (answered("B2", Outcome.RETURNED, pointers=("/newborns",)), "does not receive"),
        (answered("B2", Outcome.REJECTED, pointers=("/mother/name",)), "asks for no corrections"),
        (answered("B7", outputs={"payment_no": "JF99-000001", "amount_fen": -1}), "amount_fen is missing or wrong"),
        (answered("B7", outputs={"payment_no": "JF99-000001", "amount_fen": True}), "amount_fen is missing or wrong"),
    ],
)
def test_an_answer_fits_what_its_matter_declares(answer: TaskAnswered, problem: str | None) -> None:
    found = check_answer(BIRTH, answer.matter, answer)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found
        assert "Z98" not in found


def test_a_department_may_return_only_the_fields_it_receives() -> None:
    second = correctable(BIRTH, "B2", 2)
    assert {"/newborns/1/weight_g", "/mother/name", "/delivery/inpatient_no"} <= second
    assert not any(pointer.startswith(("/newborns/0", "/benefit", "/hukou/target")) for pointer in second)
    assert correctable(BIRTH, "B8") == {field.source for field in BIRTH.matters["B8"].fields if not field.matter}
