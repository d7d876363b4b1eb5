"""Public security's records: households with their members, and the newborns registered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from yijian_department import Records


@dataclass(frozen=True, slots=True)
class Household:
    """A household of the register. `kind` is FAMILY or COLLECTIVE; `area` has 12 digits."""

    number: str
    kind: str
    area: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """A registered newborn."""

    citizen_id_no: str
    household_no: str
    area: str
    mother_id_no: str


class PopulationRecords(Records):
    SCHEMA: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS household (
        number_key BLOB PRIMARY KEY,
        record     BLOB NOT NULL
    );

    CREATE TABLE IF NOT EXISTS registration (
        citizen_key     BLOB PRIMARY KEY,
        newborn_key     BLOB NOT NULL UNIQUE,
        certificate_key BLOB UNIQUE,
        task_id         TEXT,
        record          BLOB NOT NULL
    );
    """

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO household VALUES (?, ?)",
            [(self.key("household", r["household_no"]), self.seal(r)) for r in records if r["kind"] == "household"],
        )
        for r in records:
            if r["kind"] == "registration" and self.find_registration(r["citizen_id_no"]) is None:
                self.register(
                    Registration(r["citizen_id_no"], r["household_no"], r["area"], r["mother_id_no"]),
                    newborn=self.newborn(r["mother_id_no"], date.fromisoformat(r["birth_date"]), r["order"]),
                    birth_cert_no=r.get("birth_cert_no"),
                    task_id=None,
                )

    def find_household(self, number: str) -> Household | None:
        row = self.db.execute(
            "SELECT record FROM household WHERE number_key = ?", (self.key("household", number),)
        ).fetchone()
        if row is None:
            return None
        record = self.unseal(row["record"])
        return Household(record["household_no"], record["type"], record["area"], tuple(record["members"]))

    def newborn(self, mother_id_no: str, birth_date: date, order: int) -> bytes:
        """What identifies a newborn before it has a number: mother, birth date and order of birth."""
        return self.key("newborn", mother_id_no, birth_date.isoformat(), str(order))

    def is_registered(self, newborn: bytes, birth_cert_no: str | None) -> bool:
        """Whether this newborn, or the holder of this certificate, was registered anywhere (V11)."""
        certificate = self.key("certificate", birth_cert_no) if birth_cert_no else None
        found = self.db.execute(
            "SELECT 1 FROM registration WHERE newborn_key = ? UNION ALL"
            " SELECT 1 FROM registration WHERE certificate_key = ?",
            (newborn, certificate),
        )
        return found.fetchone() is not None

    def find_registration(self, citizen_id_no: str) -> Registration | None:
        row = self.db.execute(
            "SELECT record FROM registration WHERE citizen_key = ?", (self.key("citizen", citizen_id_no),)
        ).fetchone()
        return Registration(**self.unseal(row["record"])) if row else None

    def is_taken(self, citizen_id_no: str) -> bool:
        found = self.db.execute(
            "SELECT 1 FROM registration WHERE citizen_key = ?", (self.key("citizen", citizen_id_no),)
        )
        return found.fetchone() is not None

    def register(
        self, registration: Registration, *, newborn: bytes, birth_cert_no: str | None, task_id: UUID | None
    ) -> None:
        """Enter a newborn; one loaded from elsewhere has no task."""
        self.db.execute(
            "INSERT INTO registration VALUES (?, ?, ?, ?, ?)",
            (
                self.key("citizen", registration.citizen_id_no),
                newborn,
                self.key("certificate", birth_cert_no) if birth_cert_no else None,
                str(task_id) if task_id else None,
                self.seal(
                    {
                        "citizen_id_no": registration.citizen_id_no,
                        "household_no": registration.household_no,
                        "area": registration.area,
                        "mother_id_no": registration.mother_id_no,
                    }
                ),
            ),
        )
