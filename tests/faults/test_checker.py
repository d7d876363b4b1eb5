"""The checker of chaos runs, held against a platform that really ran: it finds nothing, until somebody does something.

On a platform of its own, since every application there has to be accounted for by a key in the history.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import mkdtemp
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from yijian_chaos import checker
from yijian_chaos.rest import why_not_at_rest
from yijian_chaos.whereabouts import sources_of, where_to_look
from yijian_embedded.home import CHECKOUT, make_private_folder
from yijian_embedded.platform import Platform
from yijian_examples.family import Family, Kind
from yijian_examples.forms import form_of
from yijian_examples.population import family
from yijian_examples.records import find_population, write_records

from tests.e2e.city import City, Resident

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

GRANTED, WITHDRAWN = (1, 2), 3
FAMILIES = 6
REST_WITHIN_S = 150.0


@pytest.fixture(scope="module")
def own_platform() -> Iterator[Platform]:
    folder = Path(mkdtemp(prefix="checked-", dir=make_private_folder(CHECKOUT / ".yijian" / "test")))
    own = Platform(folder)
    try:
        write_records(own.home.records, FAMILIES, kinds=dict.fromkeys(range(1, FAMILIES + 1), Kind.STANDARD))
        own.up()
        yield own
    finally:
        own.clean()


class Run:
    """A run's folder and where its sources are."""

    def __init__(self, platform: Platform, folder: Path, today: date) -> None:
        self.platform = platform
        self.folder = folder
        self.families = [family(number, kind=Kind.STANDARD, today=today) for number in range(1, FAMILIES + 1)]
        self._lines = 0

    def family(self, number: int) -> Family:
        return self.families[number - 1]

    def snapshot(self) -> checker.Snapshot:
        sources = sources_of(self.platform, self.families)
        return checker.collect(sources, history=self.folder / "history.jsonl")

    def judge(self, snapshot: checker.Snapshot) -> checker.Verdict:
        # Nobody samples the processes here.
        return checker.check(self.folder, snapshot, may_be_empty=("I9", "I11"))

    def heard(self, kind: str, actor: str, answer: httpx.Response, *, key: str | None = None) -> None:
        """An attempt and its answer, as the clients write them down."""
        said = answer.json()
        about = {} if kind == "submit" else {"application": said["id"]}
        asked = {"op": self._lines, "phase": "invoke", "kind": kind, "key": key, "actor": actor, **about}
        ended = {"op": self._lines, "phase": "ok", "status": answer.status_code, "application": said["id"]}
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            for line in (asked, {**ended, "version": said.get("version"), "state": said.get("status")}):
                file.write(json.dumps(line) + "\n")
        self._lines += 1

    async def come_to_rest(self) -> None:
        deadline = asyncio.get_running_loop().time() + REST_WITHIN_S
        while waiting := why_not_at_rest(where_to_look(self.platform)):
            assert asyncio.get_running_loop().time() < deadline, waiting
            await asyncio.sleep(0.3)

    @contextmanager
    def superuser(self, database: str) -> Iterator[psycopg.Connection]:
        url = make_conninfo(self.platform.postgres_admin_url, dbname=database)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


@pytest.fixture(scope="module")
def run(own_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Run:
    population = find_population(own_platform.home.records)
    assert population is not None
    run = Run(own_platform, tmp_path_factory.mktemp("run"), population.today)
    asyncio.run(_live(run))
    return run


async def _live(run: Run) -> None:
    """Three births, each handed in twice with one key; the third is withdrawn."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        city = City(run.platform, families=None, http=http)  # type: ignore[arg-type] # its stories' own
        for number in (*GRANTED, WITHDRAWN):
            await _apply(run, city.resident(run.family(number).account), number)
    await run.come_to_rest()


async def _apply(run: Run, mother: Resident, number: int) -> None:
    key = uuid4().hex
    for _ in range(2):
        answer = await mother.submit(form_of(run.family(number)), key=key)
        assert answer.status_code == 202, answer.text
        run.heard("submit", mother.account, answer, key=key)
    application = UUID(answer.json()["id"])
    if number == WITHDRAWN:
        run.heard("withdraw", mother.account, await mother.request("POST", f"/applications/{application}/withdrawal"))
    else:
        await mother.wait_until_over(application, within=REST_WITHIN_S)
    run.heard("query", mother.account, await mother.request("GET", f"/applications/{application}"))


def test_nothing_is_broken_and_everything_was_looked_at(run: Run, tmp_path: Path):
    snapshot = run.snapshot()
    verdict = run.judge(snapshot)
    assert verdict.violations == ()
    looked = {name: sum(counts.values()) for name, counts in verdict.counts.items()}
    assert all(number > 0 for name, number in looked.items() if name != "I11"), looked
    assert verdict.counts["I1"]["accepted submissions"] == 6
    assert verdict.counts["I4"]["effects"] >= 2 * 9
    checker.write_snapshot(snapshot, tmp_path)
    assert run.judge(checker.read_snapshot(tmp_path)) == verdict


def test_a_superusers_edit_is_found(run: Run):
    application = next(each for each in run.snapshot().applications if each.status == "COMPLETED")
    change = "UPDATE application SET status = %s WHERE id = %s"
    with run.superuser("approval") as superuser:
        superuser.execute(change, ["WITHDRAWN", application.id])
        try:
            verdict = run.judge(run.snapshot())
        finally:
            superuser.execute(change, ["COMPLETED", application.id])
    assert "I3" in verdict.broken
    assert application.id in {violation.where.get("application") for violation in verdict.violations}


def test_an_edited_leaf_is_found(run: Run):
    with run.superuser("data-exchange") as superuser:
        superuser.execute("ALTER TABLE ledger.leaf DISABLE TRIGGER never_changed")
        flip = "UPDATE ledger.leaf SET data = set_byte(data, 20, get_byte(data, 20) # 1) WHERE index = 3"
        superuser.execute(flip)
        try:
            verdict = run.judge(run.snapshot())
        finally:
            superuser.execute(flip)
            superuser.execute("ALTER TABLE ledger.leaf ENABLE ALWAYS TRIGGER never_changed")
    assert verdict.broken == ("I7",)


def test_a_second_effect_is_found(run: Run):
    store = run.platform.home.department_store("public-security")
    with closing(sqlite3.connect(store, timeout=30, isolation_level=None)) as db:
        (task,) = db.execute("SELECT task_id FROM registration WHERE task_id IS NOT NULL").fetchone()
        db.execute(
            "INSERT INTO registration SELECT x'01', x'02', NULL, task_id, record FROM registration WHERE task_id = ?",
            (task,),
        )
        try:
            verdict = run.judge(run.snapshot())
        finally:
            db.execute("DELETE FROM registration WHERE citizen_key = x'01'")
    assert verdict.broken == ("I4",)
    assert task in {violation.where.get("task_id") for violation in verdict.violations}


def test_a_lost_record_is_found(run: Run):
    """As if a broker had acknowledged it and lost it: nobody but the topic knows."""
    snapshot = run.snapshot()
    lost = next(record for record in snapshot.records if record.topic == "approval.documents")
    verdict = run.judge(replace(snapshot, records=tuple(each for each in snapshot.records if each is not lost)))
    assert verdict.broken == ("I5",)
    (violation,) = verdict.violations
    assert violation.where["event"] == lost.event


def test_a_deleted_row_of_the_outbox_is_found(run: Run):
    with run.superuser("approval") as superuser:
        superuser.execute("CREATE TEMP TABLE kept AS SELECT * FROM outbox WHERE topic = 'approval.disclosures' LIMIT 1")
        superuser.execute("DELETE FROM outbox o USING kept k WHERE o.id = k.id")
        try:
            verdict = run.judge(run.snapshot())
        finally:
            superuser.execute("INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept")
    assert {"I5", "I7"} == set(verdict.broken)
    assert {violation.where.get("topic") for violation in verdict.violations if violation.invariant == "I5"} == {
        "approval.disclosures"
    }
    assert run.judge(run.snapshot()).ok
