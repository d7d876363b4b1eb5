"""Civil affairs' program: C1 婚姻登记信息核验."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from pydantic import BaseModel
from yijian_department import Answer, Department, Records, Task, approve, needs_person, return_for_correction


@dataclass(frozen=True, slots=True)
class Marriage:
    """An entry of the marriage register; `status` is MARRIED or DIVORCED."""

    cert_no: str
    reg_date: date
    status: str


class MarriageRecords(Records):
    """The marriage register, by the numbers of both spouses."""

    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS marriage (
        couple_key BLOB PRIMARY KEY,
        record     BLOB NOT NULL
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO marriage VALUES (?, ?)",
            [
                (
                    self._couple(r["wife_id_no"], r["husband_id_no"]),
                    self.seal({name: r[name] for name in ("cert_no", "reg_date", "status")}),
                )
                for r in records
                if r["kind"] == "marriage"
            ],
        )

    def find(self, wife_id_no: str, husband_id_no: str) -> Marriage | None:
        """The marriage of these two, whatever became of it."""
        row = self.db.execute(
            "SELECT record FROM marriage WHERE couple_key = ?", (self._couple(wife_id_no, husband_id_no),)
        ).fetchone()
        if row is None:
            return None
        record = self.unseal(row["record"])
        return Marriage(record["cert_no"], date.fromisoformat(record["reg_date"]), record["status"])

    def _couple(self, wife_id_no: str, husband_id_no: str) -> bytes:
        return self.key("couple", wife_id_no, husband_id_no)


department = Department("civil-affairs", MarriageRecords)


class MarriageCheck(BaseModel):
    """C1: what the parents say about their marriage."""

    mother_id_no: str
    father_id_no: str | None = None
    marriage_cert_no: str | None = None
    marriage_reg_date: date | None = None


@department.matter("C1")
def check_marriage(task: Task[MarriageCheck], records: MarriageRecords) -> Answer:
    """婚姻登记信息核验: the register knows both parents under this certificate (V8)."""
    request = task.fields
    if task.approved_by_person:
        return approve({"marriage_verified": True})
    if request.father_id_no is None:
        return needs_person("没有父亲的身份信息，无法核验婚姻登记")
    marriage = records.find(request.mother_id_no, request.father_id_no)
    if marriage is None:
        return return_for_correction(
            [("/marriage/cert_no", "没有查到父母双方的婚姻登记，请核对结婚证字号和双方证件号码")]
        )
    if marriage.status != "MARRIED":
        return needs_person("婚姻登记的状态不是已婚，需人工核对")
    corrections = []
    if marriage.cert_no != request.marriage_cert_no:
        corrections.append(("/marriage/cert_no", "结婚证字号与婚姻登记不一致，请按结婚证填写"))
    if request.marriage_reg_date not in (None, marriage.reg_date):
        corrections.append(("/marriage/reg_date", "登记日期与婚姻登记不一致，请按结婚证填写"))
    return return_for_correction(corrections) if corrections else approve({"marriage_verified": True})
