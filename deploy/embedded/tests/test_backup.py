"""The database's log is archived while it works: what was destroyed comes back, up to its end or an earlier moment."""

import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from yijian_embedded import archiving, backup, postgres
from yijian_embedded.archive import bases, begin_line, current_line, find_base
from yijian_embedded.base_backup import find_faults, prune
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home
from yijian_embedded.keys_backup import copy_keys, put_keys_back
from yijian_embedded.platform import Platform
from yijian_embedded.ports import choose_ports
from yijian_embedded.postgres_access import connect
from yijian_embedded.processes import end
from yijian_embedded.recovery import (
    copy_database,
    drop_former,
    former_databases,
    is_there,
    recover_server,
    scratch_server,
)

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]


@dataclass(frozen=True)
class Server:
    """Postgres alone, with an archive beside it and a table that notes what happened."""

    home: Home
    ports: Mapping[str, int]
    archive: Path

    @property
    def url(self) -> str:
        return postgres.admin_url(self.home, self.ports)

    def up(self) -> None:
        postgres.wait_for_postgres(self.home, postgres.start_postgres(self.home, self.ports), self.url)

    def database(self, name: str) -> str:
        return make_conninfo(self.url, dbname=name)

    def note(self, what: str, database: str = "city") -> None:
        with connect(self.database(database)) as session:
            session.execute("INSERT INTO happened (what) VALUES (%s)", [what])

    def happened(self, url: str = "", database: str = "city") -> list[str]:
        with connect(make_conninfo(url or self.url, dbname=database)) as session:
            return [str(row[0]) for row in session.execute("SELECT what FROM happened ORDER BY id").fetchall()]

    def destroy(self) -> None:
        """The machine loses power and its disk in one moment; what had arrived elsewhere is all there is."""
        process = Platform(self.home.folder).process("postgres")
        assert process
        end([process, *process.children(recursive=True)], by=signal.SIGKILL)
        rmtree(self.home.postgres / "data")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    home = Home(tmp_path / "home")
    made = Server(home, choose_ports(home, ("postgres",), occupied=frozenset()), tmp_path / "archive")
    try:
        made.up()
        with connect(made.url) as admin:
            for name in ("city", "data-exchange"):
                admin.execute(f'CREATE DATABASE "{name}"')
        for name in ("city", "data-exchange"):
            with connect(made.database(name)) as session:
                session.execute("CREATE TABLE happened (id bigint GENERATED ALWAYS AS IDENTITY, what text)")
        yield made
    finally:
        archiving.stop_receiver(home)
        Platform(home.folder).clean()


def test_a_server_whose_files_are_destroyed_comes_back_with_all_that_had_arrived(server: Server):
    server.note("before")
    backup.begin(server.home, server.ports, server.archive)
    base = backup.back_up(server.home, server.ports)
    server.note("after the copy")
    # What waits for the archive is in it, whatever happens next.
    with connect(server.database("city")) as session:
        session.execute("SET synchronous_commit = on")
        session.execute("INSERT INTO happened (what) VALUES ('a moment before')")
    server.destroy()

    # Nobody begins anew with an empty database by mistake.
    with pytest.raises(PlatformError, match="yijian restore server"):
        server.up()
    archiving.stop_receiver(server.home)
    recovered = recover_server(server.home, server.ports, find_base(server.archive, None))
    begin_line(server.home, server.archive)
    server.up()

    assert server.happened() == ["before", "after the copy", "a moment before"]
    assert recovered.last_transaction
    assert recovered.replaced is None
    assert list(find_faults(server.home, base)) == []
    # It goes on being archived, in a line of its own, and can be destroyed again.
    archiving.start_receiver(server.home, server.ports["postgres"], server.url)
    backup.back_up(server.home, server.ports)
    server.note("after the restore")
    archiving.catch_up(server.url)
    server.destroy()
    archiving.stop_receiver(server.home)
    recover_server(server.home, server.ports, find_base(server.archive, None))
    server.up()
    assert server.happened()[-1] == "after the restore"


def test_one_database_goes_back_to_a_moment_and_the_others_stay(server: Server):
    backup.begin(server.home, server.ports, server.archive)
    backup.back_up(server.home, server.ports)
    server.note("good")
    time.sleep(0.2)
    moment = datetime.now(UTC)
    time.sleep(0.2)
    with connect(server.database("city")) as session:
        session.execute("DROP TABLE happened")
    server.note("goes on", "data-exchange")
    archiving.catch_up(server.url)

    with scratch_server(server.home, find_base(server.archive, moment), moment) as then:
        assert server.happened(then) == ["good"]
        former = copy_database(server.home, "city", source=then, target=server.url)

    assert server.happened() == ["good"]
    assert server.happened(database="data-exchange") == ["goes on"]
    # What was replaced can still be looked at.
    assert former_databases(server.url, "city") == [former]
    with connect(server.database(former)) as session, pytest.raises(psycopg.errors.UndefinedTable):
        session.execute("SELECT FROM happened")
    # A moment at which nothing has happened since is where the log ends.
    now = datetime.now(UTC)
    with scratch_server(server.home, find_base(server.archive, now), now) as then:
        assert server.happened(then) == ["good"]

    drop_former(server.url, former)
    assert not is_there(server.url, former)
    assert is_there(server.url, "city")


def test_what_is_wrong_with_an_archive_is_told(server: Server):
    with pytest.raises(PlatformError, match="another disk"):
        backup.begin(server.home, server.ports, server.home.folder / "archive")
    line = backup.begin(server.home, server.ports, server.archive)
    old = backup.back_up(server.home, server.ports)
    base = backup.back_up(server.home, server.ports)
    with pytest.raises(PlatformError, match="old enough"):
        find_base(server.archive, datetime(2020, 1, 1, tzinfo=UTC))

    assert prune(line, keep=1) == [old]
    assert bases(server.archive) == [base]
    assert list(find_faults(server.home, base)) == []
    for _ in range(3):
        server.note("more")
        archiving.catch_up(server.url)
    (base.folder / "PG_VERSION").write_text("17\n")
    segments = sorted(path for path in line.wal.iterdir() if path.name > base.first_wal and not path.suffix)
    segments[0].unlink()
    faults = list(find_faults(server.home, base))
    assert any("PG_VERSION" in fault for fault in faults)
    assert any("gap of 1 segments" in fault for fault in faults), faults

    backup.end(server.home, server.ports)
    with connect(server.url) as admin:
        assert admin.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)
        assert admin.execute("SHOW synchronous_standby_names").fetchone() == ("",)


def test_what_lines_before_hold_is_removed_as_well_and_nothing_else(server: Server):
    theirs = begin_line(Home(server.home.folder / "another"), server.archive)
    (server.archive / "2026-11-01" / "wal").mkdir(parents=True)
    first = backup.begin(server.home, server.ports, server.archive)
    old = backup.back_up(server.home, server.ports)
    between = backup.begin(server.home, server.ports, server.archive)
    line = backup.begin(server.home, server.ports, server.archive)
    assert prune(line, keep=1) == []
    newer = backup.back_up(server.home, server.ports)

    assert prune(line, keep=2) == []
    assert bases(server.archive) == [old, newer]
    assert between.folder.exists(), "it leads to the first"
    assert prune(line, keep=1) == [old]
    assert bases(server.archive) == [newer]
    assert not first.folder.exists()
    assert not between.folder.exists()
    assert theirs.wal.exists()
    assert (server.archive / "2026-11-01" / "wal").exists()
    assert list(find_faults(server.home, newer)) == []


def test_a_log_that_the_server_could_not_keep_for_its_receiver_is_gone_on_with_in_another_line(server: Server):
    line = backup.begin(server.home, server.ports, server.archive)
    backup.back_up(server.home, server.ports)
    archiving.stop_receiver(server.home)
    with connect(server.url) as admin:
        admin.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        admin.execute("SELECT pg_reload_conf()")
        for _ in range(5):
            server.note("more")
            admin.execute("SELECT pg_switch_wal()")
            admin.execute("CHECKPOINT")
        lost = "SELECT wal_status FROM pg_replication_slots"
        assert admin.execute(lost).fetchone() == ("lost",)

    archiving.start_receiver(server.home, server.ports["postgres"], server.url)

    assert current_line(server.home) != line
    base = backup.back_up(server.home, server.ports)
    assert base.line.before == line
    assert list(find_faults(server.home, base)) == []


def test_keys_are_put_by_apart_from_what_they_open(server: Server, tmp_path: Path):
    backup.begin(server.home, server.ports, server.archive)
    with pytest.raises(PlatformError, match="protect nothing"):
        copy_keys(server.home, server.archive / "keys", apart_from=server.archive)
    safe = tmp_path / "safe"
    assert copy_keys(server.home, safe, apart_from=server.archive) == ["secrets.json"]
    assert {oct(path.stat().st_mode & 0o777) for path in safe.rglob("*.json")} == {"0o600"}
    secret = server.home.secrets.read_text()
    server.home.secrets.unlink()

    assert put_keys_back(server.home, safe) == ["secrets.json"]
    assert server.home.secrets.read_text() == secret
    assert put_keys_back(server.home, safe) == []


def test_what_is_refused_leaves_no_kafka_running_that_a_restore_would_refuse_in_turn(tmp_path: Path):
    platform = Platform(tmp_path / "home")
    begin_line(platform.home, tmp_path / "archive")
    try:
        with pytest.raises(PlatformError, match="yijian restore server"):
            platform.up()
        assert platform.process("kafka") is None
    finally:
        platform.clean()
