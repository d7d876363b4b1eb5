"""Medical insurance's program: B5 参保登记, B5-rekey 改用公民身份号码, B8 生育医疗费用报销."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import BaseModel
from yijian_department import Answer, Department, Task, approve, local_day, needs_person, reject

from medical_insurance.records import InsuranceRecords, Insured, Settlement

department = Department("medical-insurance", InsuranceRecords)

CITY = "9901"  # the fictitious city whose insured this program's bureau refunds


class EnrolmentRequest(BaseModel):
    """B5: the child by its citizen number or, where a city insures at birth, by its birth certificate."""

    citizen_id_no: str | None = None
    birth_cert_no: str | None = None
    target_code12: str

    @property
    def person(self) -> str | None:
        return self.citizen_id_no or self.birth_cert_no


@department.matter("B5", area="target_code12")
def enrol_newborn(task: Task[EnrolmentRequest], records: InsuranceRecords) -> Answer:
    """参保登记: a child is insured once."""
    person = task.fields.person
    if person is None:
        return needs_person("没有公民身份号码和出生医学证明编号，需人工核对")
    if records.enrolment_of(person) is not None:
        return reject("已经参加城乡居民基本医疗保险，不能重复登记")
    number = f"YB{task.fields.target_code12[:6]}-{records.next_number('enrolment'):010d}"
    records.enrol(person, number)
    return approve({"med_insurance_no": number}, documents={"medical-insurance-credential": number})


class RekeyRequest(BaseModel):
    """B5-rekey: a child insured at birth has its citizen number now."""

    citizen_id_no: str
    birth_cert_no: str
    med_insurance_no: str


@department.matter("B5-rekey")
def rekey_enrolment(task: Task[RekeyRequest], records: InsuranceRecords) -> Answer:
    """改用公民身份号码: the insurance number stays, what it is found by changes."""
    request = task.fields
    if records.enrolment_of(request.citizen_id_no) is not None:
        return reject("该公民身份号码已有参保登记，需先合并")
    if not records.rekey(request.med_insurance_no, old=request.birth_cert_no, new=request.citizen_id_no):
        return reject("没有查到以该出生医学证明编号办理的参保登记")
    return approve({"med_insurance_no": request.med_insurance_no})


@dataclass(frozen=True, slots=True)
class BenefitRule:
    """What one kind of insurance refunds: thousandths of the costs up to a ceiling, or a fixed sum without a list."""

    per_mille: int
    ceiling_fen: int
    fixed_fen: int

    def refund_fen(self, total_fen: int) -> int:
        return total_fen * self.per_mille // 1000


@cache
def benefit_rules() -> dict[str, BenefitRule]:
    """The rules of ``data/maternity_benefit.toml`` by kind of insurance."""
    table = tomllib.loads(files(__package__).joinpath("data/maternity_benefit.toml").read_text(encoding="utf-8"))
    return {kind: BenefitRule(**rule) for kind, rule in table.items() if isinstance(rule, dict)}


class BenefitRequest(BaseModel):
    """B8: the mother and her stay in hospital; a birth elsewhere is known by its certificates."""

    mother_id_no: str
    inpatient_no: str | None = None
    birth_cert_nos: tuple[str, ...] = ()

    @property
    def delivery(self) -> str:
        return self.inpatient_no or " ".join(sorted(self.birth_cert_nos))


@department.matter("B8")
def refund_maternity_costs(task: Task[BenefitRequest], records: InsuranceRecords) -> Answer:
    """生育医疗费用报销: once for each delivery, by what the hospital charged and the mother's insurance."""
    mother, delivery = task.fields.mother_id_no, task.fields.delivery
    if records.is_refunded(mother, delivery):
        return reject("本次分娩的生育医疗费用已经报销，不能重复报销")
    insurance, settlement = records.insurance_of(mother), records.settlement_of(mother, delivery)
    if not task.approved_by_person and (doubt := doubt_about(insurance, settlement)):
        return needs_person(doubt)
    rule = benefit_rules()[insurance.type if insurance else "RESIDENT"]
    amount = min(rule.refund_fen(settlement.total_fen), rule.ceiling_fen) if settlement else rule.fixed_fen
    batch = f"SY{local_day(task.requested_at):%Y%m%d}-{records.next_number('refund'):08d}"
    records.refund(mother, delivery, task_id=task.id, batch=batch, amount_fen=amount)
    return approve({"benefit_amount_fen": amount, "payment_batch": batch})


def doubt_about(insurance: Insured | None, settlement: Settlement | None) -> str | None:
    """Why a person has to look, in a sentence without personal values."""
    if insurance is None or not insurance.place.startswith(CITY):
        return "母亲不在本市参保，需按异地业务人工办理"
    if settlement is None:
        return "没有查到医院的费用结算清单，需人工核对费用票据，按定额报销"
    if settlement.settled:
        return "医院已经直接结算，需核对是否还有可报销的费用"
    rule = benefit_rules()[insurance.type]
    if rule.refund_fen(settlement.total_fen) > rule.ceiling_fen:
        return "报销金额超过限额，需人工审核"
    return None
