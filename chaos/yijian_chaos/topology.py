"""The processes under attack, by name: what each runs, which role it plays, and by which wire it reaches its servers.

Two of each of approval's roles and two of one department, so that nothing rests on a single process; a client tries the
other API when a connection is refused. Both of public-security's processes work on the one SQLite file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from yijian_embedded.provisioning import SERVICE_DATABASES
from yijian_embedded.topology import SERVICES

DOUBLED: Final = "public-security"
ROLES: Final = ("api", "worker", "relay")
APIS: Final = ("approval-api-1", "approval-api-2")
DEPARTMENTS_WIRE: Final = "departments"
OTHERS_WIRE: Final = "others"


@dataclass(frozen=True, slots=True)
class Member:
    """One process of ours. `wire` is the group with which it shares its wires; the witness dials no server."""

    name: str
    service: str
    role: str | None = None
    wire: str | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        return {"YIJIAN_ROLES": self.role} if self.role else {}

    @property
    def has_database(self) -> bool:
        """Whether it dials Postgres; a department keeps an SQLite file."""
        return self.service in SERVICE_DATABASES


def _members() -> tuple[Member, ...]:
    found: list[Member] = []
    for service in SERVICES:
        if service.name == "approval":
            found += [_part(role, number) for role in ROLES for number in (1, 2)]
        elif service.name == DOUBLED:
            found += [Member(f"{DOUBLED}-{n}", DOUBLED, wire=DEPARTMENTS_WIRE) for n in (1, 2)]
        elif service.department:
            found.append(Member(service.name, service.name, wire=DEPARTMENTS_WIRE))
        else:
            found.append(Member(service.name, service.name, wire=OTHERS_WIRE if service.principal else None))
    return tuple(found)


def _part(role: str, number: int) -> Member:
    name = f"approval-{role}-{number}"
    # Both APIs hang on one wire; each worker and each relay has its own, so that one can be cut off alone.
    return Member(name, "approval", role, wire="approval-api" if role == "api" else name)


MEMBERS: Final[Mapping[str, Member]] = {member.name: member for member in _members()}
WIRES: Final = tuple(dict.fromkeys(member.wire for member in MEMBERS.values() if member.wire))
FURTHER_PROCESSES: Final = tuple(name for name in MEMBERS if name not in {service.name for service in SERVICES})


def readers(service: str) -> tuple[str, ...]:
    """Those of a service's processes that read topics."""
    found = (each for each in MEMBERS.values() if each.service == service and each.role in (None, "worker"))
    return tuple(each.name for each in found)


def wires_to_postgres() -> tuple[str, ...]:
    """The wires by which anybody reaches the database."""
    dialling = {member.wire for member in MEMBERS.values() if member.has_database}
    return tuple(wire for wire in WIRES if wire in dialling)
