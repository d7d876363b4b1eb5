"""Medical insurance's records: who is insured, what hospitals settled, what was enrolled and refunded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from yijian_department import Records


@dataclass(frozen=True, slots=True)
class Insured:
    """A mother's own insurance: `type` is EMPLOYEE or RESIDENT, `place` six digits."""

    type: str
    place: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a hospital charged for a delivery; `settled` when it was refunded at the counter. Amounts in fen."""

    total_fen: int
    settled: bool


class InsuranceRecords(Records):
    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS insured (
        person_key BLOB PRIMARY KEY,
        record     BLOB NOT NULL
    );

    CREATE TABLE IF NOT EXISTS settlement (
        delivery_key BLOB PRIMARY KEY,
        record       BLOB NOT NULL
    );

    CREATE TABLE IF NOT EXISTS enrolment (
        person_key BLOB PRIMARY KEY,
        number     TEXT NOT NULL UNIQUE
    );

    CREATE TABLE IF NOT EXISTS refund (
        delivery_key BLOB PRIMARY KEY,
        task_id      TEXT NOT NULL,
        batch        TEXT NOT NULL,
        amount_fen   INTEGER NOT NULL
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO insured VALUES (?, ?)",
            [
                (self.key("person", r["id_no"]), self.seal({"type": r["type"], "place": r["place_code6"]}))
                for r in records
                if r["kind"] == "insured"
            ],
        )
        self.db.executemany(
            "INSERT OR REPLACE INTO settlement VALUES (?, ?)",
            [
                (
                    self._delivery(r["mother_id_no"], r["inpatient_no"]),
                    self.seal({"total_fen": r["total_fen"], "settled": r["settled"]}),
                )
                for r in records
                if r["kind"] == "settlement"
            ],
        )

    def insurance_of(self, id_no: str) -> Insured | None:
        row = self.db.execute(
            "SELECT record FROM insured WHERE person_key = ?", (self.key("person", id_no),)
        ).fetchone()
        return Insured(**self.unseal(row["record"])) if row else None

    def settlement_of(self, mother_id_no: str, inpatient_no: str) -> Settlement | None:
        row = self.db.execute(
            "SELECT record FROM settlement WHERE delivery_key = ?", (self._delivery(mother_id_no, inpatient_no),)
        ).fetchone()
        return Settlement(**self.unseal(row["record"])) if row else None

    # --- newborns ----------------------------------------------------------------------------------------------------

    def enrolment_of(self, person: str) -> str | None:
        """The insurance number held under this citizen number or birth certificate."""
        row = self.db.execute("SELECT number FROM enrolment WHERE person_key = ?", (self.key("person", person),))
        found = row.fetchone()
        return found["number"] if found else None

    def enrol(self, person: str, number: str) -> None:
        self.db.execute("INSERT INTO enrolment VALUES (?, ?)", (self.key("person", person), number))

    def rekey(self, number: str, *, old: str, new: str) -> bool:
        """Hold the number under `new` instead of `old`; False when it is not held under `old`."""
        changed = self.db.execute(
            "UPDATE enrolment SET person_key = ? WHERE person_key = ? AND number = ?",
            (self.key("person", new), self.key("person", old), number),
        )
        return changed.rowcount == 1

    # --- maternity costs ---------------------------------------------------------------------------------------------

    def is_refunded(self, mother_id_no: str, inpatient_no: str) -> bool:
        found = self.db.execute(
            "SELECT 1 FROM refund WHERE delivery_key = ?", (self._delivery(mother_id_no, inpatient_no),)
        )
        return found.fetchone() is not None

    def refund(self, mother_id_no: str, inpatient_no: str, *, task_id: UUID, batch: str, amount_fen: int) -> None:
        self.db.execute(
            "INSERT INTO refund VALUES (?, ?, ?, ?)",
            (self._delivery(mother_id_no, inpatient_no), str(task_id), batch, amount_fen),
        )

    def _delivery(self, mother_id_no: str, inpatient_no: str) -> bytes:
        return self.key("delivery", mother_id_no, inpatient_no)
