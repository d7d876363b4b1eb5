"""The bureau of disease control's program: B3 预防接种电子档案建档."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel
from yijian_department import Answer, Department, Records, Task, approve, local_day, needs_person


class VaccinationRecords(Records):
    """One vaccination record for each child, by its birth certificate."""

    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS vaccination_record (
        child_key BLOB PRIMARY KEY,
        number    TEXT NOT NULL UNIQUE
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR IGNORE INTO vaccination_record VALUES (?, ?)",
            [
                (self.key("child", r["birth_cert_no"]), r["number"])
                for r in records
                if r["kind"] == "vaccination-record"
            ],
        )

    def number_of(self, child: str) -> str | None:
        """The number of the child's record, if it has one."""
        row = self.db.execute(
            "SELECT number FROM vaccination_record WHERE child_key = ?", (self.key("child", child),)
        ).fetchone()
        return row["number"] if row else None

    def open_record(self, child: str, number: str) -> None:
        self.db.execute("INSERT INTO vaccination_record VALUES (?, ?)", (self.key("child", child), number))


department = Department("disease-control", VaccinationRecords)


class VaccinationRequest(BaseModel):
    """B3: the child by its certificate, its birth and where it lives."""

    birth_cert_no: str | None = None
    birth_datetime: AwareDatetime
    living_code12: str


@department.matter("B3", area="living_code12")
def open_vaccination_record(task: Task[VaccinationRequest], records: VaccinationRecords) -> Answer:
    """预防接种电子档案建档: a child that has a record keeps it, wherever it was opened."""
    request = task.fields
    if request.birth_cert_no is None and not task.approved_by_person:
        return needs_person("没有出生医学证明编号，需人工核对孩子的身份")
    child = request.birth_cert_no or str(task.id)
    number = records.number_of(child)
    if number is None:
        serial = records.next_number("vaccination-record")
        number = f"JZ{request.living_code12[:6]}-{local_day(request.birth_datetime):%Y%m%d}-{serial:08d}"
        records.open_record(child, number)
    return approve({"vaccination_archive_no": number}, documents={"vaccination-record": number})
