"""`yijian wallet` over HTTP: every page of it, and what it says when it cannot."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from typer.testing import CliRunner
from yijian_cli.main import app
from yijian_cli.wallet import read_wallet
from yijian_embedded.errors import PlatformError


def document(place: int) -> dict[str, object]:
    return {
        "id": str(UUID(int=place)),
        "kind": "birth-certificate",
        "name": "出生医学证明",
        "department": "health",
        "department_name": "卫生健康委员会",
        "matter": "B2",
        "holder_kind": "PERSON",
        "holder": "990***********0019",
        "role": "MOTHER",
        "number": "Z9******01",
        "identifier": "1.2.156.3005.2",
        "version": 1,
        "status": "VALID",
        "status_name": "有效",
        "issued_at": "2026-11-21T08:00:00Z",
        "expires_at": None,
        "lost_at": None,
        "revoked_at": None,
        "reason": None,
        "application_id": str(UUID(int=0)),
    }


class Wallet(BaseHTTPRequestHandler):
    """identity, as far as this command goes: two pages, for the right token."""

    def do_GET(self) -> None:
        before = parse_qs(urlsplit(self.path).query).get("before")
        if self.headers["Authorization"] != "Bearer right":
            self.answer(401, {"title": "请先登录", "detail": "请先登录"})
        elif before is None:
            self.answer(200, {"items": [document(3), document(2)], "next": str(UUID(int=2))})
        else:
            assert before == [str(UUID(int=2))]
            self.answer(200, {"items": [document(1)], "next": None})

    def answer(self, status: int, body: dict[str, object]) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def identity() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wallet) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_all_pages_are_one_list(identity: str):
    assert [one.id.int for one in read_wallet("mother-000001", identity_url=identity, token="right")] == [3, 2, 1]


def test_it_is_a_table_for_people_and_json_for_machines(identity: str):
    given = ("wallet", "--identity-url", identity, "--token", "right")
    shown = CliRunner().invoke(app, given)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("出生医学证明") == 3
    told = CliRunner().invoke(app, (*given, "--json"))
    assert [one["status"] for one in json.loads(told.stdout)] == ["VALID"] * 3


def test_what_cannot_be_done_is_one_sentence(identity: str):
    with pytest.raises(PlatformError, match="The token was refused"):
        read_wallet("mother-000001", identity_url=identity, token="wrong")
    with pytest.raises(PlatformError, match="identity does not answer"):
        read_wallet("mother-000001", identity_url="http://127.0.0.1:1", token="right")
