"""Taxation's program: B7 城乡居民医保费申报缴纳."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

from pydantic import BaseModel
from yijian_department import (
    Answer,
    Department,
    Records,
    Rule,
    Script,
    Task,
    approve,
    local_day,
    needs_person,
    waiting,
)


class ContributionRecords(Records):
    """Families exempt from the contribution (低保、特困、残疾), by the mother's number, and what was received."""

    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS exemption (
        person_key BLOB PRIMARY KEY,
        category   TEXT NOT NULL
    );

    CREATE TABLE IF NOT EXISTS contribution (
        number     TEXT PRIMARY KEY,
        task_id    TEXT NOT NULL UNIQUE,
        amount_fen INTEGER NOT NULL
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO exemption VALUES (?, ?)",
            [(self.key("person", r["id_no"]), r["category"]) for r in records if r["kind"] == "exemption"],
        )

    def is_exempt(self, mother_id_no: str) -> bool:
        found = self.db.execute("SELECT 1 FROM exemption WHERE person_key = ?", (self.key("person", mother_id_no),))
        return found.fetchone() is not None

    def receive(self, number: str, *, task_id: str, amount_fen: int) -> None:
        self.db.execute("INSERT INTO contribution VALUES (?, ?, ?)", (number, task_id, amount_fen))


# Without a script file, in development, whoever is asked to pay pays at once.
department = Department("taxation", ContributionRecords, script=Script(rule=(Rule(matter="B7", pay_after_seconds=0),)))


@cache
def premiums() -> dict[int, int]:
    """The contribution of a year, in fen, from ``data/premiums.toml``."""
    table = tomllib.loads(files(__package__).joinpath("data/premiums.toml").read_text(encoding="utf-8"))
    return {int(year): amount for year, amount in table["premium_fen"].items()}


class ContributionRequest(BaseModel):
    """B7: whose contribution, for which insurance year."""

    med_insurance_no: str
    mother_id_no: str
    pay_year: int
    target_code12: str


@department.matter("B7", area="target_code12")
def collect_contribution(task: Task[ContributionRequest], records: ContributionRecords) -> Answer:
    """城乡居民医保费申报缴纳: nothing from exempt families; the others' task waits until they have paid."""
    request = task.fields
    if records.is_exempt(request.mother_id_no):
        return receipt(task, records, amount_fen=0)
    amount = premiums().get(request.pay_year)
    if amount is None:
        return needs_person("该参保年度的缴费标准尚未公布，需人工确定")
    if not task.happened and not task.approved_by_person:
        return waiting("已申报，等待缴费")
    return receipt(task, records, amount_fen=amount)


def receipt(task: Task[ContributionRequest], records: ContributionRecords, *, amount_fen: int) -> Answer:
    day = f"{local_day(task.requested_at):%Y%m%d}"
    number = f"JF{task.fields.target_code12[:6]}-{day}-{records.next_number('contribution'):08d}"
    records.receive(number, task_id=str(task.id), amount_fen=amount_fen)
    return approve({"payment_no": number, "amount_fen": amount_fen}, documents={"contribution-receipt": number})
