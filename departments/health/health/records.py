"""The health commission's records: deliveries as hospitals reported them, and what the commission has issued."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from yijian_department import Records


@dataclass(frozen=True, slots=True)
class Newborn:
    """One child of a delivery. `sex` is GB/T 2261.1: "1" male, "2" female."""

    order: int
    sex: str
    birth_datetime: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the institution reported it."""

    institution_code: str
    inpatient_no: str
    mother_name: str
    mother_id_no: str
    mother_birth_date: date
    newborns: tuple[Newborn, ...]


class HealthRecords(Records):
    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS delivery (
        delivery_key BLOB PRIMARY KEY,
        mother_key   BLOB NOT NULL,
        record       BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS delivery_by_mother ON delivery (mother_key);

    CREATE TABLE IF NOT EXISTS birth_certificate (
        newborn_key BLOB PRIMARY KEY,
        number_key  BLOB NOT NULL UNIQUE,
        task_id     TEXT,
        record      BLOB NOT NULL
    );

    CREATE TABLE IF NOT EXISTS birth_registration (
        number     TEXT PRIMARY KEY,
        task_id    TEXT NOT NULL,
        mother_key BLOB NOT NULL
    );

    CREATE TABLE IF NOT EXISTS parenting_service (
        certificate_key BLOB PRIMARY KEY,
        number          TEXT NOT NULL
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._load_deliveries(r for r in records if r["kind"] == "delivery")
        for record in records:
            if record["kind"] == "birth-certificate":
                self.issue(
                    self.newborn(record["mother_id_no"], date.fromisoformat(record["birth_date"]), record["order"]),
                    record["number"],
                    task_id=None,
                )

    def _load_deliveries(self, records: Iterable[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR IGNORE INTO delivery VALUES (?, ?, ?)",
            [
                (
                    self.key("delivery", r["institution_code"], r["inpatient_no"]),
                    self.key("mother", r["mother_id_no"]),
                    self.seal(r),
                )
                for r in records
            ],
        )

    def deliveries_of(self, mother_id_no: str) -> list[Delivery]:
        """The mother's deliveries, the latest reported first."""
        rows = self.db.execute(
            "SELECT record FROM delivery WHERE mother_key = ? ORDER BY rowid DESC", (self.key("mother", mother_id_no),)
        )
        return [_delivery(self.unseal(row["record"])) for row in rows]

    # --- birth certificates ------------------------------------------------------------------------------------------

    def newborn(self, mother_id_no: str, birth_date: date, order: int) -> bytes:
        """What identifies a newborn before it has any number: mother, birth date and order of birth."""
        return self.key("newborn", mother_id_no, birth_date.isoformat(), str(order))

    def certificate_of(self, newborn: bytes) -> str | None:
        """The number of the certificate issued for this newborn."""
        row = self.db.execute("SELECT record FROM birth_certificate WHERE newborn_key = ?", (newborn,)).fetchone()
        return self.unseal(row["record"])["number"] if row else None

    def is_issued(self, number: str) -> bool:
        """Whether a certificate of this number exists."""
        found = self.db.execute(
            "SELECT 1 FROM birth_certificate WHERE number_key = ?", (self.key("certificate", number),)
        )
        return found.fetchone() is not None

    def issue(self, newborn: bytes, number: str, *, task_id: UUID | None) -> None:
        """Enter a certificate; one loaded from elsewhere has no task."""
        self.db.execute(
            "INSERT OR IGNORE INTO birth_certificate VALUES (?, ?, ?, ?)",
            (
                newborn,
                self.key("certificate", number),
                str(task_id) if task_id else None,
                self.seal({"number": number}),
            ),
        )

    # --- birth registrations and the parenting service ---------------------------------------------------------------

    def register_birth(self, number: str, *, mother_id_no: str, task_id: UUID) -> None:
        self.db.execute(
            "INSERT INTO birth_registration VALUES (?, ?, ?)", (number, str(task_id), self.key("mother", mother_id_no))
        )

    def service_of(self, birth_cert_no: str) -> str | None:
        """The number under which this child takes part in the parenting service already."""
        row = self.db.execute(
            "SELECT number FROM parenting_service WHERE certificate_key = ?", (self.key("certificate", birth_cert_no),)
        ).fetchone()
        return row["number"] if row else None

    def join_service(self, birth_cert_no: str, number: str) -> None:
        self.db.execute("INSERT INTO parenting_service VALUES (?, ?)", (self.key("certificate", birth_cert_no), number))


def _delivery(record: Mapping[str, Any]) -> Delivery:
    return Delivery(
        institution_code=record["institution_code"],
        inpatient_no=record["inpatient_no"],
        mother_name=record["mother_name"],
        mother_id_no=record["mother_id_no"],
        mother_birth_date=date.fromisoformat(record["mother_birth_date"]),
        newborns=tuple(
            Newborn(newborn["order"], newborn["sex"], datetime.fromisoformat(newborn["birth_datetime"]))
            for newborn in record["newborns"]
        ),
    )
