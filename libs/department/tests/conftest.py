"""A small bureau for the tests: it issues reader cards, one per person."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from yijian_department import (
    Answer,
    Department,
    Records,
    Task,
    approve,
    needs_person,
    proven,
    reject,
    return_for_correction,
    waiting,
)
from yijian_department.matters import Definition
from yijian_department.testing import TestDepartment


class CardRequest(BaseModel):
    reader_id_no: str
    wish: str = "approve"
    area_code: str | None = None


class FeeRequest(BaseModel):
    amount: int


class Readers(Records):
    SCHEMA = (
        "CREATE TABLE IF NOT EXISTS reader (id_key BLOB PRIMARY KEY, card TEXT, banned INTEGER NOT NULL DEFAULT 0);"
    )

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR IGNORE INTO reader (id_key, card, banned) VALUES (?, ?, ?)",
            [(self.key(r["id_no"]), r.get("card"), r.get("banned", False)) for r in records],
        )

    def card_of(self, id_no: str) -> str | None:
        row = self.db.execute("SELECT card FROM reader WHERE id_key = ?", (self.key(id_no),)).fetchone()
        return row["card"] if row else None

    def issue(self, id_no: str) -> str:
        card = f"C{self.next_number('card'):05d}"
        self.db.execute("INSERT INTO reader (id_key, card) VALUES (?, ?)", (self.key(id_no), card))
        return card

    def count(self) -> int:
        found: int = self.db.execute("SELECT count(*) FROM reader").fetchone()[0]
        return found


library = Department("health", Readers, tries=3)


@library.matter("L1", area="area_code")
def issue_card(task: Task[CardRequest], readers: Readers) -> Answer:
    request = task.fields
    if readers.card_of(request.reader_id_no):
        return reject("已有读者证")
    if request.wish == "doubt" and not task.approved_by_person:
        return needs_person("需要核对证件")
    if request.wish == "correct":
        return return_for_correction([("/reader/name", "请填写真实姓名")])
    card = readers.issue(request.reader_id_no)
    if request.wish == "crash":
        raise RuntimeError(f"no card for {request.reader_id_no}")
    if request.wish == "nonsense":
        return approve({"card_no": date(2026, 11, 21)})  # type: ignore[dict-item]
    return approve({"card_no": card}, documents={"reader-card": card})


@library.proof("L1")
def card_exists(task: Task[CardRequest], readers: Readers) -> Answer:
    card = readers.card_of(task.fields.reader_id_no)
    return proven({"card_no": card}) if card else reject("没有查到读者证")


@library.matter("L2")
async def collect_fee(task: Task[FeeRequest], _: Readers) -> Answer:
    if task.happened or task.approved_by_person:
        return approve({"paid": task.fields.amount})
    return waiting("等待缴费")


@library.matter("L3")
def ask_abroad(task: Task[FeeRequest], readers: Readers) -> Answer:
    if readers.next_number("asked") < task.fields.amount:
        return waiting("等待外地回函", look_again=timedelta(minutes=10))
    return approve()


@pytest.fixture(name="library")
def running_library() -> Iterator[TestDepartment[Readers]]:
    with TestDepartment(library) as bureau:
        yield bureau


@pytest.fixture
def definition() -> Definition[Readers]:
    """The library as written, for a test that runs it itself."""
    return library.definition
