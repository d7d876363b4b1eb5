"""Public security's program: B4 国（境）内出生登记（户口登记）."""

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, BaseModel
from yijian_contracts.identifiers import Sex, make_citizen_id
from yijian_department import Answer, Department, Task, approve, local_day, needs_person, proven, reject

from public_security.records import Household, PopulationRecords, Registration

department = Department("public-security", PopulationRecords)

NUMBERS_PER_SEX = 500  # of one place and day: sequence 000 to 999, odd for boys, even for girls (GB 11643-1999 §5.3)


class RegistrationRequest(BaseModel):
    """B4: the parents, the newborn and the household it is to join."""

    mother_id_no: str
    father_id_no: str | None = None
    birth_order: int
    sex: Sex
    birth_datetime: AwareDatetime
    birth_cert_no: str | None = None
    hukou_follow: Literal["FATHER", "MOTHER", "GRANDPARENT"]
    target_household_no: str
    target_code12: str
    citizen_id_no_given: str | None = None

    @property
    def followed(self) -> str | None:
        """The parent whose household the child is to join; grandparents are a person's matter."""
        return {"FATHER": self.father_id_no, "MOTHER": self.mother_id_no}.get(self.hukou_follow)


@department.matter("B4", area="target_code12")
def register_newborn(task: Task[RegistrationRequest], records: PopulationRecords) -> Answer:
    """出生登记: the newborn is registered once in the whole country and joins a family household of its parent."""
    request = task.fields
    birth_date = local_day(request.birth_datetime)
    newborn = records.newborn(request.mother_id_no, birth_date, request.birth_order)
    if records.is_registered(newborn, request.birth_cert_no):
        return reject("该新生儿已经登记户口，不能重复登记")
    household = records.find_household(request.target_household_no)
    if not task.approved_by_person and (doubt := doubt_about(request, household)):
        return needs_person(doubt)
    citizen_id_no = new_citizen_id(records, request.target_code12[:6], birth_date, request.sex)
    if citizen_id_no is None:
        return needs_person("该地当日的公民身份号码顺序码已经用完，需人工编制")
    registration = Registration(citizen_id_no, request.target_household_no, request.target_code12, request.mother_id_no)
    records.register(registration, newborn=newborn, birth_cert_no=request.birth_cert_no, task_id=task.id)
    page = f"{request.target_household_no}-{records.next_number('household-page'):08d}"
    return approve(outputs(registration), documents={"household-page": page})


def doubt_about(request: RegistrationRequest, household: Household | None) -> str | None:
    """Why a person has to look, in a sentence without personal values; None when the register agrees (V10)."""
    if household is None:
        return "没有查到落户的户号，需核对户口簿"
    if household.kind != "FAMILY":
        return "落户的户是集体户，需核对能否落户"
    if request.followed not in household.members:
        return "落户的户中没有所随的父亲或者母亲，需核对户口簿"
    if household.area != request.target_code12:
        return "落户地区划与户籍底册不一致，需核对户口簿"
    return None


def new_citizen_id(records: PopulationRecords, area6: str, birth_date: date, sex: Sex) -> str | None:
    """A citizen number of this place, day and sex that nobody has, or None when all 500 are given."""
    while True:
        count = records.next_number(f"citizen:{area6}:{birth_date:%Y%m%d}:{sex}")
        if count > NUMBERS_PER_SEX:
            return None
        sequence = 2 * count - 1 if sex is Sex.MALE else 2 * count % 1000
        number = make_citizen_id(area6, birth_date, sequence)
        if not records.is_taken(number):
            return number


@department.proof("B4")
def prove_registration(task: Task[RegistrationRequest], records: PopulationRecords) -> Answer:
    """Whether the citizen number that the applicant names was given to this mother's newborn."""
    request = task.fields
    found = records.find_registration(request.citizen_id_no_given or "")
    if found is None or found.mother_id_no != request.mother_id_no:
        return reject("没有查到该公民身份号码的出生登记，或者与母亲信息不符")
    return proven(outputs(found))


def outputs(registration: Registration) -> dict[str, str]:
    return {
        "citizen_id_no": registration.citizen_id_no,
        "household_no": registration.household_no,
        "hukou_address_code": registration.area,
    }
