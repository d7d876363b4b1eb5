"""Somebody who has the whole database and the key file, and wants to read about a person."""

import base64
import binascii
import contextlib
import json
import re
import struct
from collections.abc import Iterable, Iterator
from uuid import UUID

import psycopg
from psycopg import sql
from yijian_common.crypto import DataKey, Keyring, UnsealError

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")


def readable(database_url: str, keyring: Keyring, applications: Iterable[UUID]) -> Iterator[bytes]:
    """Everything that can be read: what is in clear, and what any key that lies in the database opens."""
    cells = list(_cells(database_url))
    contexts = [*_contexts(applications), *(cell for _, cell in cells if len(cell) == 32)]
    keys = list(_data_keys(keyring, [cell for _, cell in cells]))
    for table, cell in cells:
        yield from _with_what_it_holds(cell)
        if table == "idempotency_keys" or len(cell) > 40:
            for plain in _opened(cell, keys, contexts):
                yield from _with_what_it_holds(plain)


def _cells(database_url: str) -> Iterator[tuple[str, bytes]]:
    """Every text, id and byte string of every table, with the table's name."""
    with psycopg.connect(database_url) as session:
        columns = session.execute(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped"
            " AND a.atttypid IN ('text'::regtype, 'bytea'::regtype, 'uuid'::regtype)"
        ).fetchall()
        for table, column in columns:
            # The form that everybody applies with and the keys of identity are about nobody.
            if table in ("life_event", "identity_key_sets"):
                continue
            select = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
            for (value,) in session.execute(select).fetchall():
                yield table, value if isinstance(value, bytes) else str(value).encode()


def _contexts(applications: Iterable[UUID]) -> Iterator[bytes]:
    """What our services bind sealed values to."""
    yield b"messaging"
    for application_id in applications:
        for name in (b"answers:", b"people:", b"rectification:"):
            yield name + application_id.bytes
        for revision in (1, 2, 3):
            yield b"form:%s:%d" % (application_id.bytes, revision)


def _data_keys(keyring: Keyring, cells: Iterable[bytes]) -> Iterator[DataKey]:
    """Every data key that lies in the database, by itself or in front of what it sealed."""
    found: dict[bytes, DataKey] = {}
    for cell in cells:
        wrapped = [cell]
        if len(cell) > 2:
            wrapped.append(cell[2 : 2 + struct.unpack_from(">H", cell)[0]])
        for each in wrapped:
            try:
                found[each] = keyring.unwrap(each)
            except UnsealError:
                continue
    yield from found.values()


def _opened(cell: bytes, keys: Iterable[DataKey], contexts: Iterable[bytes]) -> Iterator[bytes]:
    sealed = [cell]
    if len(cell) > 2:
        sealed.append(cell[2 + struct.unpack_from(">H", cell)[0] :])
    for each in sealed:
        if not each or each[0] not in (1, 2):
            continue
        for key in keys:
            for context in contexts:
                try:
                    yield key.open(each, context)
                except UnsealError:
                    continue


def _with_what_it_holds(plain: bytes) -> Iterator[bytes]:
    """The text, what JSON escapes in it, and what it holds in base64, as a dead letter holds its record."""
    yield plain
    with contextlib.suppress(ValueError):
        yield json.dumps(json.loads(plain), ensure_ascii=False).encode()
    for match in _BASE64.findall(plain):
        with contextlib.suppress(binascii.Error):
            yield base64.b64decode(match + b"=" * (-len(match) % 4))
