"""One fictitious family: persons, home, marriage, delivery and everything a bureau may already hold on them."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Kind(StrEnum):
    """Which story a family tells; the value names its file in ``examples/birth``."""

    STANDARD = "standard"
    TWINS = "twins"
    UNMARRIED = "unmarried"
    DIFFERENT_DISTRICTS = "different-districts"
    CERTIFICATE_ISSUED = "certificate-issued"
    HOME_BIRTH = "home-birth"


@dataclass(frozen=True, slots=True)
class Person:
    """A parent. `sex` is GB/T 2261.1; the first six digits of the number are the place of first registration."""

    name: str
    id_no: str
    birth_date: date
    mobile: str


@dataclass(frozen=True, slots=True)
class Household:
    """A household: FAMILY or COLLECTIVE, where it stands, and the numbers of its members."""

    number: str
    type: str
    area: str
    address: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Marriage:
    """A marriage as registered."""

    cert_no: str
    reg_date: date
    reg_org: str


@dataclass(frozen=True, slots=True)
class Newborn:
    """A child as born. `certificate_no` only where the birth certificate is issued already."""

    order: int
    sex: str
    born_at: datetime
    surname: str
    given_name: str
    weight_g: int
    length_cm: float
    gestation_weeks: int
    certificate_no: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the children were born; `institution_code` and `inpatient_no` are None for a birth at home."""

    place: str
    institution_code: str | None
    institution_name: str | None
    inpatient_no: str | None
    newborns: tuple[Newborn, ...]


@dataclass(frozen=True, slots=True)
class Insurance:
    """The mother's insurance, and what the hospital charged (fen); `settled` when it was refunded at the counter."""

    type: str
    place_code6: str
    total_fen: int
    settled: bool
    exempt: bool


@dataclass(frozen=True, slots=True)
class Family:
    """A family by its index `n`; the mother's home is `households[0]`, the father's is the last."""

    n: int
    kind: Kind
    today: date
    mother: Person
    father: Person
    households: tuple[Household, ...]
    marriage: Marriage | None
    delivery: Delivery
    insurance: Insurance
    bank_account: str

    @property
    def account(self) -> str:
        """The mother's account."""
        return f"mother-{self.n:06d}"

    @property
    def father_account(self) -> str:
        return f"father-{self.n:06d}"
