"""Loading accounts from a file of JSON lines: citizens with real-name levels, officials with posts.

    {"kind": "citizen", "account": "mother-0001", "name": "…", "id_no": "…", "mobile": "…", "real_name_level": "L3"}
    {"kind": "official", "account": "health-0001", "name": "…", "department": "health", "area": "990101000000",
     "matters": ["B1", "B2"], "role": "OFFICER"}

Either may have a `password`; without one only the development login opens the account. The same file is loaded once;
a changed file updates accounts in place, so that a person keeps the subject that others know them by. People of the
fictitious region 99 are loaded outside production only.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

import asyncpg
import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from yijian_common.crypto import Keyring
from yijian_common.database import Connection, Pool, connection, transaction
from yijian_common.tokens import Kind, RealNameLevel
from yijian_contracts.areas import is_area_code
from yijian_contracts.departments import departments
from yijian_contracts.identifiers import is_citizen_id, normalise_citizen_id

from identity.errors import AccountsFileError
from identity.passwords import hash_password
from identity.people import seal_person

log = structlog.get_logger(__name__)

BATCH = 5000
FICTITIOUS = "99"
_LOCK = 4_180_002  # replicas that start together load a file once

Account = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{2,63}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    account: Account
    name: str = Field(min_length=1, max_length=60)
    password: str | None = Field(default=None, min_length=8, max_length=256)


class Citizen(_Entry):
    kind: Literal["citizen"]
    id_no: str
    mobile: str | None = Field(default=None, pattern=r"^1[3-9][0-9]{9}$")
    real_name_level: RealNameLevel


class Official(_Entry):
    kind: Literal["official"]
    department: str
    area: str
    matters: tuple[str, ...] = ()
    role: str = Field(pattern=r"^[A-Z_]{1,32}$")


_entries: TypeAdapter[Citizen | Official] = TypeAdapter(Annotated[Citizen | Official, Field(discriminator="kind")])

_PEOPLE = """
INSERT INTO people (id, kind, account, password_hash, real_name_level, id_index, data_key, sealed)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::bytea[])
ON CONFLICT (id) DO UPDATE SET
    password_hash = excluded.password_hash, real_name_level = excluded.real_name_level, id_index = excluded.id_index,
    data_key = excluded.data_key, sealed = excluded.sealed
"""
_POST = """
INSERT INTO posts (person_id, department, area, matters, role) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (person_id) DO UPDATE SET
    department = excluded.department, area = excluded.area, matters = excluded.matters, role = excluded.role
"""


_LOADED = """
INSERT INTO loaded_files (digest, fictitious_allowed) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true
"""


async def refuse_fictitious(pool: Pool) -> None:
    """Raises `AccountsFileError` when this database was ever loaded where fictitious people are allowed."""
    async with connection(pool) as held:
        if await held.fetchval("SELECT EXISTS (SELECT FROM loaded_files WHERE fictitious_allowed)"):
            raise AccountsFileError(
                "this database was loaded outside production and may hold fictitious people of region 99;"
                " give production a database of its own"
            )


async def load_accounts(pool: Pool, keyring: Keyring, path: Path, *, allow_fictitious: bool) -> int:
    """Load the accounts of `path` in one transaction; returns how many (0 when this very file is loaded already).

    Raises `AccountsFileError`, which names the line; then nothing is loaded. Without a file there is nothing to load.
    """
    try:
        with path.open("rb") as file:
            digest = keyring.blind_index("accounts file", hashlib.file_digest(file, "sha256").hexdigest())
    except FileNotFoundError:
        log.warning("no accounts file", path=str(path))
        return 0
    except OSError as error:
        raise AccountsFileError(f"the accounts file {path} cannot be read: {error.strerror}") from None
    async with transaction(pool) as held:
        await held.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await held.fetchval(_LOADED, digest, allow_fictitious):
            return 0
        await held.execute("SET LOCAL statement_timeout = '60s'")
        return await _load(held, keyring, path, allow_fictitious=allow_fictitious)


async def _load(held: Connection, keyring: Keyring, path: Path, *, allow_fictitious: bool) -> int:
    loaded = 0
    with path.open("rb") as file:
        lines = enumerate(file, start=1)
        while entries := await asyncio.to_thread(_read_batch, lines, allow_fictitious=allow_fictitious):
            await _store(held, keyring, entries)
            loaded += len(entries)
    log.info("accounts loaded", accounts=loaded)
    return loaded


def _read_batch(lines: Iterator[tuple[int, bytes]], *, allow_fictitious: bool) -> list[Citizen | Official]:
    return [
        _read(number, line, allow_fictitious=allow_fictitious) for number, line in islice(lines, BATCH) if line.strip()
    ]


def _read(number: int, line: bytes, *, allow_fictitious: bool) -> Citizen | Official:
    """The account of one line, checked. The error never repeats what the line holds."""
    try:
        entry = _entries.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "the line"
        raise AccountsFileError(f"line {number} of the accounts file: {place}: {first['msg']}") from None
    wrong = _what_is_wrong(entry, allow_fictitious=allow_fictitious)
    if wrong is not None:
        raise AccountsFileError(f"line {number} of the accounts file: {wrong}")
    return entry


def _what_is_wrong(entry: Citizen | Official, *, allow_fictitious: bool) -> str | None:
    region = entry.id_no if isinstance(entry, Citizen) else entry.area
    if region.startswith(FICTITIOUS) and not allow_fictitious:
        return "people of the fictitious region 99 are not loaded in production; remove them from the file"
    match entry:
        case Citizen():
            return None if is_citizen_id(entry.id_no) else "id_no is not a citizen number (GB 11643)"
        case Official() if entry.department not in departments():
            return f"unknown department; known are {', '.join(departments())}"
        case Official():
            known = is_area_code(entry.area, allow_fictitious=allow_fictitious)
            return None if known else "area is not a known area code of 12 digits"


async def _store(held: Connection, keyring: Keyring, entries: list[Citizen | Official]) -> None:
    """Insert or update a batch; an account that is there already keeps its id."""
    rows = await held.fetch("SELECT account, id FROM people WHERE account = ANY($1)", [e.account for e in entries])
    known: dict[str, UUID] = {row["account"]: row["id"] for row in rows}
    ids = [known.get(entry.account) or uuid4() for entry in entries]
    hashes = [None if entry.password is None else await hash_password(entry.password) for entry in entries]
    sealed = await asyncio.to_thread(_seal, keyring, entries, ids)
    try:
        await held.execute(
            _PEOPLE,
            ids,
            [Kind.CITIZEN if isinstance(entry, Citizen) else Kind.OFFICIAL for entry in entries],
            [entry.account for entry in entries],
            hashes,
            [entry.real_name_level if isinstance(entry, Citizen) else None for entry in entries],
            *map(list, zip(*sealed, strict=True)),
        )
    except asyncpg.UniqueViolationError as error:
        raise AccountsFileError(f"two accounts share what only one may have ({error.constraint_name})") from None
    await held.executemany(
        _POST, [_post(entry, person) for entry, person in zip(entries, ids, strict=True) if isinstance(entry, Official)]
    )


def _post(entry: Official, person_id: UUID) -> tuple[UUID, str, str, list[str], str]:
    return person_id, entry.department, entry.area, list(entry.matters), entry.role


def _seal(
    keyring: Keyring, entries: list[Citizen | Official], ids: list[UUID]
) -> list[tuple[bytes | None, bytes, bytes]]:
    """For each entry the blind index of its number, the wrapped data key and the sealed details."""
    sealed: list[tuple[bytes | None, bytes, bytes]] = []
    for entry, person_id in zip(entries, ids, strict=True):
        id_index = None
        match entry:
            case Citizen():
                id_no = normalise_citizen_id(entry.id_no)
                details = {"name": entry.name, "id_no": id_no, "mobile": entry.mobile}
                id_index = keyring.blind_index("id_no", id_no)
            case Official():
                details = {"name": entry.name}
        sealed.append((id_index, *seal_person(keyring, person_id, details)))
    return sealed
