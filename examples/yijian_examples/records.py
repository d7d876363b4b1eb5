"""What each bureau already holds on the families, as JSON Lines for its program; and the accounts for identity."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from yijian_examples.family import Family, Kind
from yijian_examples.population import SHANGHAI, family

Line = Mapping[str, Any]

STAMP = "population.json"
FILES = (
    "health",
    "disease-control",
    "public-security",
    "medical-insurance",
    "human-resources",
    "taxation",
    "civil-affairs",
    "identity",
)

_MATTERS = {
    "health": ("B1", "B2", "B9"),
    "disease-control": ("B3",),
    "public-security": ("B4",),
    "medical-insurance": ("B5", "B5-rekey", "B8"),
    "human-resources": ("B6",),
    "taxation": ("B7",),
    "civil-affairs": ("C1",),
}
_CITY = "990100000000"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Population:
    """What was written into a folder: families 1 to `families`, born in the year before `today`."""

    today: date
    families: int


def records_of(subject: Family) -> dict[str, list[Line]]:
    """The lines of one family by file name."""
    return {
        "health": list(_health(subject)),
        "public-security": [
            {
                "kind": "household",
                "household_no": home.number,
                "type": home.type,
                "area": home.area,
                "address": home.address,
                "members": list(home.members),
            }
            for home in subject.households
        ],
        "medical-insurance": list(_medical_insurance(subject)),
        "taxation": (
            [{"kind": "exemption", "id_no": subject.mother.id_no, "category": "低保"}]
            if subject.insurance.exempt
            else []
        ),
        "civil-affairs": list(_civil_affairs(subject)),
        "identity": [
            {
                "kind": "citizen",
                "account": account,
                "name": person.name,
                "id_no": person.id_no,
                "mobile": person.mobile,
                "real_name_level": "L3",
            }
            for account, person in (
                (subject.account, subject.mother),
                (subject.father_account, subject.father),
            )
        ],
    }


def _health(subject: Family) -> Iterator[Line]:
    delivery = subject.delivery
    if delivery.place == "HOSPITAL":
        yield {
            "kind": "delivery",
            "institution_code": delivery.institution_code,
            "inpatient_no": delivery.inpatient_no,
            "mother_name": subject.mother.name,
            "mother_id_no": subject.mother.id_no,
            "mother_birth_date": subject.mother.birth_date.isoformat(),
            "newborns": [
                {"order": child.order, "sex": child.sex, "birth_datetime": child.born_at.isoformat()}
                for child in delivery.newborns
            ],
        }
    for child in delivery.newborns:
        if child.certificate_no is not None:
            yield {
                "kind": "birth-certificate",
                "number": child.certificate_no,
                "mother_id_no": subject.mother.id_no,
                "birth_date": child.born_at.date().isoformat(),
                "order": child.order,
            }


def _medical_insurance(subject: Family) -> Iterator[Line]:
    insurance = subject.insurance
    yield {
        "kind": "insured",
        "id_no": subject.mother.id_no,
        "type": insurance.type,
        "place_code6": insurance.place_code6,
    }
    if subject.delivery.inpatient_no is not None:
        yield {
            "kind": "settlement",
            "mother_id_no": subject.mother.id_no,
            "inpatient_no": subject.delivery.inpatient_no,
            "total_fen": insurance.total_fen,
            "settled": insurance.settled,
        }


def _civil_affairs(subject: Family) -> Iterator[Line]:
    if subject.marriage is not None:
        yield {
            "kind": "marriage",
            "wife_id_no": subject.mother.id_no,
            "husband_id_no": subject.father.id_no,
            "cert_no": subject.marriage.cert_no,
            "reg_date": subject.marriage.reg_date.isoformat(),
            "status": "MARRIED",
        }


def officials() -> list[Line]:
    """Two officers and a head for each department: of the whole city, and one of a district; and supervision.

    Nobody judges reviews of the own department, and setting one aside takes two: so three departments have a
    supervisor.
    """
    return [
        *(
            _official(f"{department}-{number:04d}", name, department, area=area, matters=matters, role=role)
            for department, matters in _MATTERS.items()
            for number, name, area, role in (
                (1, "办事员甲", _CITY, "OFFICER"),
                (2, "办事员乙", "990101000000", "OFFICER"),
                (3, "负责人", _CITY, "HEAD"),
            )
        ),
        *(
            _official(f"supervisor-{number:04d}", "督查员", department, area=_CITY, matters=(), role="SUPERVISOR")
            for number, department in enumerate(("civil-affairs", "human-resources", "taxation"), start=1)
        ),
    ]


def _official(account: str, name: str, department: str, *, area: str, matters: Iterable[str], role: str) -> Line:
    return {
        "kind": "official",
        "account": account,
        "name": name,
        "department": department,
        "area": area,
        "matters": list(matters),
        "role": role,
    }


def write_records(
    folder: Path, families: int, *, today: date | None = None, kinds: Mapping[int, Kind] | None = None
) -> Population:
    """Write the records of families 1 to `families` into `folder`: a file for each bureau, and a stamp.

    `kinds` gives single indexes another kind than `kind_of` does. Files are put in place whole, the stamp last.
    """
    written = Population(today or datetime.now(SHANGHAI).date(), families)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files: dict[str, TextIO] = {
            name: stack.enter_context((folder / f"{name}.jsonl.new").open("w", encoding="utf-8")) for name in FILES
        }
        _write(files["identity"], officials())
        for n in range(1, families + 1):
            for name, lines in records_of(family(n, kind=(kinds or {}).get(n), today=written.today)).items():
                _write(files[name], lines)
    for name in FILES:
        (folder / f"{name}.jsonl.new").replace(folder / f"{name}.jsonl")
    stamp = {"today": written.today.isoformat(), "families": families}
    (folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    return written


def _write(file: TextIO, lines: Iterable[Line]) -> None:
    file.writelines(_encode(line) + "\n" for line in lines)


def find_population(folder: Path) -> Population | None:
    """What `write_records` wrote into this folder, or None. Forms must be of the same `today` as the records."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Population(date.fromisoformat(stamp["today"]), stamp["families"])
