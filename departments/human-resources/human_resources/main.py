"""Human resources and social security's program: B6 社会保障卡申领."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel
from yijian_contracts.identifiers import InvalidIdentifierError, parse_citizen_id
from yijian_department import Answer, Department, Records, Task, approve, local_day, needs_person, reject


class CardRecords(Records):
    """One social security card for each citizen number."""

    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS card (
        citizen_key BLOB PRIMARY KEY,
        number      TEXT NOT NULL UNIQUE
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR IGNORE INTO card VALUES (?, ?)",
            [(self.key("citizen", r["citizen_id_no"]), r["number"]) for r in records if r["kind"] == "card"],
        )

    def has_card(self, citizen_id_no: str) -> bool:
        found = self.db.execute("SELECT 1 FROM card WHERE citizen_key = ?", (self.key("citizen", citizen_id_no),))
        return found.fetchone() is not None

    def issue(self, citizen_id_no: str, number: str) -> None:
        self.db.execute("INSERT INTO card VALUES (?, ?)", (self.key("citizen", citizen_id_no), number))


department = Department("human-resources", CardRecords)


class CardRequest(BaseModel):
    """B6: the child by its citizen number, and the parent who acts for it."""

    citizen_id_no: str
    birth_datetime: AwareDatetime
    guardian_relation: Literal["MOTHER", "FATHER"]
    mother_id_no: str
    father_id_no: str | None = None
    target_code12: str


@department.matter("B6", area="target_code12")
def issue_card(task: Task[CardRequest], records: CardRecords) -> Answer:
    """社会保障卡申领: the first card of a child under 16 needs no photograph and costs nothing."""
    request = task.fields
    if records.has_card(request.citizen_id_no):
        return reject("已经持有社会保障卡，不能重复申领")
    if not task.approved_by_person and (doubt := doubt_about(request)):
        return needs_person(doubt)
    number = f"SB{request.target_code12[:6]}-{records.next_number('card'):09d}"
    records.issue(request.citizen_id_no, number)
    return approve({"ss_card_no": number}, documents={"social-security-card": number})


def doubt_about(request: CardRequest) -> str | None:
    """Why a person has to look, in a sentence without personal values."""
    try:
        citizen = parse_citizen_id(request.citizen_id_no)
    except InvalidIdentifierError:
        return "公民身份号码校验不符，需与公安机关核对"
    if citizen.birth_date != local_day(request.birth_datetime):
        return "公民身份号码与出生日期不一致，需与公安机关核对"
    if request.guardian_relation == "FATHER" and request.father_id_no is None:
        return "没有父亲的身份信息，需核对监护关系"
    return None
