"""Postgres runs beside other copies, for root and for anybody, and keeps to itself what people enter."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from yijian_embedded import postgres
from yijian_embedded.home import Home
from yijian_embedded.jars import find_class_path
from yijian_embedded.platform import Platform
from yijian_embedded.ports import choose_ports
from yijian_embedded.postgres_user import REFUGES, refuge_folder
from yijian_embedded.testing import FreshDatabase
from yijian_embedded.topology import PORT_NAMES

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def start(folder: Path) -> str:
    """Postgres alone in this folder; its administrator's address."""
    home = Home(folder)
    ports = choose_ports(home, PORT_NAMES, occupied=frozenset())
    url = postgres.admin_url(home, ports)
    postgres.wait_for_postgres(home, postgres.start_postgres(home, ports), url)
    return url


def one_value(url: str, query: str) -> object:
    with psycopg.connect(url) as session:
        row = session.execute(query).fetchone()
        assert row
        return row[0]


def test_two_folders_side_by_side(tmp_path: Path):
    folders = [tmp_path / "one", tmp_path / "two"]
    try:
        urls = [start(folder) for folder in folders]
        for folder, url in zip(folders, urls, strict=True):
            assert one_value(url, "SHOW data_directory") == str(folder / "postgres" / "data")
    finally:
        for folder in folders:
            Platform(folder).clean()


@only_root
def test_root_without_user_namespaces_hands_the_data_to_a_user_without_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("yijian_embedded.postgres_user.user_namespace", lambda: ())
    folder = tmp_path / "home"
    refuge = refuge_folder(Home(folder))
    try:
        url = start(folder)

        assert one_value(url, "SHOW data_directory") == str(refuge / "data")
        process = Platform(folder).process("postgres")
        assert process
        assert process.uids().real != 0
        assert oct(refuge.stat().st_mode & 0o777) == "0o700"
    finally:
        Platform(folder).clean()
    assert not refuge.exists()


@only_root
def test_an_ordinary_user_runs_the_whole_infrastructure():
    python = an_interpreter_for_anybody()
    home = REFUGES / f"yijian-test-{os.getpid()}"
    jars = find_class_path(Home(home))
    assert jars
    (home / "share").mkdir(parents=True)
    (home / "share" / jars[0].parent.name).symlink_to(jars[0].parent)
    nobody = pwd.getpwnam("nobody")
    for path in (home, home / "share"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    story = (
        "import os, pathlib, sys\n"
        "from yijian_embedded.platform import Platform\n"
        "assert os.getuid() != 0\n"
        "platform = Platform(pathlib.Path(sys.argv[1]))\n"
        "platform.up(services=False)\n"
        "platform.up(services=False)\n"
        "print(*platform.down())\n"
    )
    try:
        answer = subprocess.run(  # noqa: S603 - our own story
            [python, "-c", story, str(home)],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (answer.returncode, answer.stdout) == (0, "kafka postgres\n"), answer.stderr
    finally:
        shutil.rmtree(home)


def an_interpreter_for_anybody() -> str:
    """A Python of this version that a user without rights may run: this one may lie in root's own folder."""
    nobody = pwd.getpwnam("nobody")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            subprocess.run([candidate, "-c", ""], user=nobody.pw_uid, extra_groups=[], cwd="/", check=True)  # noqa: S603 - our own words, no shell
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip(f"no {version} here that a user without rights may run")


def test_the_data_is_safe_and_the_door_is_loopback(platform: Platform):
    url = platform.postgres_admin_url
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    assert {name: one_value(url, f"SHOW {name}") for name in expected} == expected
    rules = "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules"
    assert one_value(url, rules) == ["scram-sha-256"]


def test_what_people_enter_does_not_reach_the_log(platform: Platform, fresh_database: FreshDatabase):
    canary = "990101202501010014"
    with psycopg.connect(fresh_database("identity"), autocommit=True) as session:
        session.execute("CREATE TABLE people (number text PRIMARY KEY)")
        session.execute("INSERT INTO people VALUES (%s)", [canary])
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("INSERT INTO people VALUES (%s)", [canary])
        with pytest.raises(psycopg.errors.UndefinedTable):
            session.execute(sql.SQL("SELECT * FROM nowhere WHERE number = {}").format(sql.Literal(canary)))

    log = platform.home.log("postgres").read_text()

    assert "duplicate key value" in log
    assert canary not in log
