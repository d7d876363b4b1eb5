"""An approval database put back to an earlier state: nothing is decided twice, and what was lost is seen."""

import pytest
from psycopg import sql
from yijian_contracts.events import ApplicationOutcome
from yijian_embedded.postgres_access import connect, drop_database, ensure_database
from yijian_messaging.testing import wait_until

from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

DATABASE, COPY = "approval", "approval_before"


def copy(births: Births) -> None:
    with connect(births.city.platform.postgres_admin_url) as admin:
        drop_database(admin, COPY)
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*map(sql.Identifier, (COPY, DATABASE, DATABASE)))
        )


def put_back(births: Births) -> None:
    with connect(births.city.platform.postgres_admin_url) as admin:
        drop_database(admin, DATABASE)
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (COPY, DATABASE))))
        ensure_database(admin, DATABASE, owner=DATABASE)


async def test_a_database_put_back_converges_and_decides_nothing_twice(births: Births):
    city = births.city
    letters = births.dead_letters()
    await births.apply(2)
    await births.all_granted()
    city.stop("human-resources")
    try:
        (under_way,) = await births.apply(1)
        city.stop("approval")
        copy(births)
    finally:
        births.heal()
    kept = dict(births.accepted)
    lost = await births.apply(2)
    await births.all_granted()
    said = births.said_about(lost)

    city.stop("approval")
    put_back(births)
    births.heal()

    births.accepted = kept
    over = await kept[under_way].wait_until_over(under_way)
    assert over.outcome is ApplicationOutcome.ALL_GRANTED
    await wait_until(births.at_rest, what="outboxes empty and offsets at the ends", within=45)
    births.applied_once()
    births.answered_once()
    # The bureaus have decided for the lost ones too, and for nobody twice.
    made = {place: count - births.effects_before[place] for place, count in births.effects().items()}
    assert set(made.values()) == {len(kept) + len(lost)}, made

    # What the bureaus answered about applications that are gone waits for a person.
    assert births.dead_letters() == letters + said
    errors = city.query("approval", "SELECT count(*) AS n FROM dead_letter WHERE error = %s", "no such application")
    assert errors[0]["n"] >= said
    gone = city.query("approval", "SELECT 1 FROM application WHERE id = ANY(%s)", lost)
    assert gone == []
