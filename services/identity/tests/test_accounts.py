"""Loading fictitious people: quickly, once, sealed, and never in production."""

import json
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from identity.accounts import load_accounts
from identity.errors import AccountsFileError
from identity.main import MIGRATIONS, open_provider
from identity.provider import OpenIdProvider
from identity.settings import IdentitySettings
from pydantic import SecretStr
from yijian_common import database
from yijian_common.process import StartError
from yijian_common.settings import Environment
from yijian_contracts.identifiers import make_citizen_id
from yijian_embedded.testing import FreshDatabase

pytestmark = pytest.mark.postgres

MANY = 20_000
CITIZEN = {
    "kind": "citizen",
    "account": "citizen-1",
    "name": "赵一",
    "id_no": make_citizen_id("990102", date(1990, 1, 1), 11),
    "mobile": "13912345678",
    "real_name_level": "L2",
}
OFFICIAL = {
    "kind": "official",
    "account": "official-1",
    "name": "钱二",
    "department": "taxation",
    "area": "990102000000",
    "matters": ["B7"],
    "role": "OFFICER",
}


def write(folder: Path, *people: dict[str, Any]) -> Path:
    path = folder / "accounts.jsonl"
    path.write_text("\n".join(json.dumps(person) for person in people) + "\n")
    return path


async def load(provider: OpenIdProvider, path: Path, *, allow_fictitious: bool = True) -> int:
    return await load_accounts(provider.pool, provider.keyring, path, allow_fictitious=allow_fictitious)


async def test_the_same_file_is_loaded_once(provider: OpenIdProvider, tmp_path: Path) -> None:
    path = write(tmp_path, CITIZEN, OFFICIAL)
    assert await load(provider, path) == 2
    assert await load(provider, path) == 0


async def test_a_changed_file_changes_accounts_but_not_who_they_are(provider: OpenIdProvider, tmp_path: Path) -> None:
    await load(provider, write(tmp_path, CITIZEN, OFFICIAL))
    query = "SELECT id, real_name_level FROM people WHERE account = 'citizen-1'"
    before = await provider.pool.fetchrow(query)
    await load(provider, write(tmp_path, {**CITIZEN, "real_name_level": "L3"}, {**OFFICIAL, "role": "HEAD"}))
    after = await provider.pool.fetchrow(query)
    assert before["id"] == after["id"]
    assert (before["real_name_level"], after["real_name_level"]) == ("L2", "L3")
    assert await provider.pool.fetchval("SELECT role FROM posts WHERE department = 'taxation'") == "HEAD"


async def test_nothing_of_a_person_lies_in_clear(provider: OpenIdProvider, tmp_path: Path) -> None:
    await load(provider, write(tmp_path, CITIZEN))
    rows = await provider.pool.fetch("SELECT people::text AS row FROM people")
    stored = " ".join(row["row"] for row in rows)
    for personal in ("赵一", CITIZEN["id_no"], "13912345678"):
        assert personal not in stored
        assert personal.encode().hex() not in stored


async def test_a_hundred_thousand_take_seconds(provider: OpenIdProvider, tmp_path: Path) -> None:
    """A fifth of them, in a fifth of the time; the processor's time, since other tests share the machine."""
    people = (
        {
            **CITIZEN,
            "account": f"many-{number:06}",
            "id_no": make_citizen_id("990103", date(1960, 1, 1) + timedelta(number // 20), number % 20 * 2 + 2),
        }
        for number in range(MANY)
    )
    path = write(tmp_path, *people)
    began = time.process_time()
    assert await load(provider, path) == MANY
    assert time.process_time() - began < 3
    assert await provider.pool.fetchval("SELECT count(*) FROM people WHERE account LIKE 'many-%'") == MANY


async def test_people_of_region_99_are_refused_in_production(
    provider: OpenIdProvider, tmp_path: Path, settings: IdentitySettings
) -> None:
    for person in (CITIZEN, OFFICIAL):
        with pytest.raises(AccountsFileError, match=r"line 1 .* region 99"):
            await load(provider, write(tmp_path, person), allow_fictitious=False)
    production = settings.model_copy(
        update={"environment": Environment.PRODUCTION, "accounts_file": write(tmp_path, OFFICIAL)}
    )
    with pytest.raises(StartError, match="region 99"):
        await open_provider(production, provider.pool)


async def test_a_database_of_development_does_not_become_one_of_production(
    provider: OpenIdProvider, tmp_path: Path, settings: IdentitySettings
) -> None:
    await load(provider, write(tmp_path, CITIZEN))
    production = settings.model_copy(update={"environment": Environment.PRODUCTION, "accounts_file": None})
    with pytest.raises(StartError, match="database of its own"):
        await open_provider(production, provider.pool)


@pytest.mark.parametrize(
    "changes",
    [
        {"id_no": "990102199001010010"},
        {"id_no": 1},
        {"real_name_level": "L4"},
        {"mobile": "12345"},
        {"account": "A B"},
        {"password": "short"},
        {"kind": "robot"},
        {"admin": True},
        {"name": ""},
    ],
)
async def test_a_wrong_line_is_named_and_nothing_is_loaded(
    provider: OpenIdProvider, tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = write(tmp_path, OFFICIAL, {**CITIZEN, **changes})
    with pytest.raises(AccountsFileError, match=r"^line 2 of the accounts file") as refusal:
        await load(provider, path)
    assert CITIZEN["id_no"] not in str(refusal.value)
    assert not await provider.pool.fetchval("SELECT EXISTS (SELECT FROM people WHERE account = 'official-1')")


@pytest.mark.parametrize(
    "changes", [{"department": "magic"}, {"area": "99010200000"}, {"area": "880102000000"}, {"role": "boss"}]
)
async def test_a_post_that_does_not_exist_is_refused(
    provider: OpenIdProvider, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(AccountsFileError, match="line 1"):
        await load(provider, write(tmp_path, {**OFFICIAL, **changes}))


async def test_two_accounts_cannot_be_one_person(provider: OpenIdProvider, tmp_path: Path) -> None:
    with pytest.raises(AccountsFileError, match="share"):
        await load(provider, write(tmp_path, CITIZEN, {**CITIZEN, "account": "citizen-2"}))
    with pytest.raises(AccountsFileError, match="account"):
        await load(provider, write(tmp_path, OFFICIAL, OFFICIAL))


async def test_without_a_file_identity_starts_with_nobody(
    settings: IdentitySettings, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    empty = SecretStr(fresh_database("identity"))
    absent = settings.model_copy(update={"accounts_file": tmp_path / "absent.jsonl", "database_url": empty})
    await database.migrate(absent, MIGRATIONS)
    async with database.open_pool(absent) as pool:
        await open_provider(absent, pool)
        assert await pool.fetchval("SELECT count(*) FROM people") == 0
