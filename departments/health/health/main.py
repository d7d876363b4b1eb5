"""The health commission's program: B1 生育登记, B2 出生医学证明, B9 科学育儿指导服务登记."""

from datetime import date

from pydantic import AwareDatetime, BaseModel
from yijian_contracts.identifiers import make_birth_certificate_no
from yijian_department import (
    Answer,
    Department,
    Task,
    approve,
    local_day,
    needs_person,
    proven,
    reject,
    return_for_correction,
)

from health.records import Delivery, HealthRecords

department = Department("health", HealthRecords)

PROVINCE = "99"  # the fictitious province of this program's commission; GB/T 2260 allocates it to nobody
BATCHES = "ZYXWVUTSRQPNMLKJHGFEDCBA"  # one letter for each ten million certificates
SERIALS_PER_BATCH = 10_000_000


class RegistrationRequest(BaseModel):
    """B1: who is expecting the child, and on which marital status."""

    mother_id_no: str
    marriage_status: str
    marriage_verified: bool | None = None
    unmarried_statement: str | None = None
    target_code12: str


@department.matter("B1", area="target_code12")
def register_birth(task: Task[RegistrationRequest], records: HealthRecords) -> Answer:
    """生育登记: the marriage is verified by civil affairs, or the mother signed the statement of an unmarried birth."""
    request = task.fields
    if not task.approved_by_person:
        if request.marriage_status == "MARRIED" and not request.marriage_verified:
            return needs_person("婚姻登记情况尚未核实，需人工核对")
        if request.marriage_status == "UNMARRIED" and not request.unmarried_statement:
            return return_for_correction([("/marriage/statement", "未婚生育的，请签署《非婚生育说明》")])
    serial = records.next_number("birth-registration")
    number = f"SY{request.target_code12[:6]}-{local_day(task.requested_at):%Y}-{serial:08d}"
    records.register_birth(number, mother_id_no=request.mother_id_no, task_id=task.id)
    return approve({"birth_registration_no": number}, documents={"birth-registration": number})


class CertificateRequest(BaseModel):
    """B2: the mother and the newborn as the form describes them; the delivery record has to agree (V9)."""

    mother_name: str
    mother_id_no: str
    mother_birth_date: date
    institution_code: str | None = None
    inpatient_no: str | None = None
    plurality: int
    birth_order: int
    sex: str
    birth_datetime: AwareDatetime
    birth_cert_no_given: str | None = None

    def newborn(self, records: HealthRecords) -> bytes:
        return records.newborn(self.mother_id_no, local_day(self.birth_datetime), self.birth_order)


@department.matter("B2")
def issue_birth_certificate(task: Task[CertificateRequest], records: HealthRecords) -> Answer:
    """出生医学证明签发（首签）: one certificate for each newborn, for ever."""
    request = task.fields
    newborn = request.newborn(records)
    if records.certificate_of(newborn) is not None:
        return reject("该新生儿已经签发过《出生医学证明》；已领取的，请在“已经办好的事项”中勾选并填写编号")
    if not task.approved_by_person and (doubt := doubt_about(request, records.deliveries_of(request.mother_id_no))):
        return needs_person(doubt)
    number = new_certificate_no(records)
    records.issue(newborn, number, task_id=task.id)
    return approve({"birth_cert_no": number}, documents={"birth-certificate": number})


def doubt_about(request: CertificateRequest, deliveries: list[Delivery]) -> str | None:
    """Why a person has to look, in a sentence without personal values; None when the delivery record agrees (V9)."""
    delivery = next(
        (d for d in deliveries if request.inpatient_no in (None, d.inpatient_no)), deliveries[0] if deliveries else None
    )
    if delivery is None:
        return "没有查到分娩记录，需核对接生证明或者亲子鉴定"
    newborn = next((n for n in delivery.newborns if n.order == request.birth_order), None)
    disagreements = [
        name
        for name, agrees in (
            ("母亲姓名", delivery.mother_name == request.mother_name),
            ("母亲出生日期", delivery.mother_birth_date == request.mother_birth_date),
            ("助产机构", request.institution_code in (None, delivery.institution_code)),
            ("住院号", request.inpatient_no in (None, delivery.inpatient_no)),
            ("胎数", len(delivery.newborns) == request.plurality),
            ("性别", newborn is not None and newborn.sex == request.sex),
            ("出生时间", newborn is not None and newborn.birth_datetime == request.birth_datetime),
        )
        if not agrees
    ]
    return f"与医院分娩记录不一致：{'、'.join(disagreements)}，需人工核对" if disagreements else None


def new_certificate_no(records: HealthRecords) -> str:
    """The next number of the commission's own series that is not issued yet."""
    while True:
        batch, serial = divmod(records.next_number("birth-certificate"), SERIALS_PER_BATCH)
        number = make_birth_certificate_no(BATCHES[batch], PROVINCE, serial)
        if not records.is_issued(number):
            return number


@department.proof("B2")
def prove_birth_certificate(task: Task[CertificateRequest], records: HealthRecords) -> Answer:
    """Whether the certificate that the applicant names was issued for this newborn."""
    request = task.fields
    number = records.certificate_of(request.newborn(records))
    if number is None or number != request.birth_cert_no_given:
        return reject("没有查到该编号的《出生医学证明》，或者与本次分娩不符")
    return proven({"birth_cert_no": number})


class ParentingServiceRequest(BaseModel):
    """B9: the child, by its certificate, and where it lives; a child born abroad has no certificate."""

    birth_cert_no: str | None = None
    living_code12: str


@department.matter("B9", area="living_code12")
def join_parenting_service(task: Task[ParentingServiceRequest], records: HealthRecords) -> Answer:
    """科学育儿指导服务登记: always granted; whoever takes part already keeps the number."""
    child = task.fields.birth_cert_no or str(task.id)
    number = records.service_of(child)
    if number is None:
        number = f"YE{task.fields.living_code12[:6]}-{records.next_number('parenting-service'):08d}"
        records.join_service(child, number)
    return approve({"parenting_service_no": number})
