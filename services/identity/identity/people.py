"""Who has an account: a person as the database keeps it (sealed) and as a token describes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring
from yijian_common.pairwise import id_proof
from yijian_common.tokens import Kind, Post, RealNameLevel

COLUMNS = (
    "people.id, people.kind, people.account, people.password_hash, people.real_name_level, people.data_key,"
    " people.sealed, posts.department, posts.area, posts.matters, posts.role"
)
TABLES = "people LEFT JOIN posts ON posts.person_id = people.id"


@dataclass(frozen=True, slots=True)
class Person:
    """An account's person, opened. Never logged."""

    id: UUID
    kind: Kind
    account: str
    name: str
    id_no: str | None
    mobile: str | None
    real_name_level: RealNameLevel | None
    post: Post | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's permission for one client, as a token will say."""

    id: UUID
    client_id: str
    audience: str
    scope: str
    auth_time: datetime
    nonce: str | None = None


def seal_person(keyring: Keyring, person_id: UUID, details: Mapping[str, str | None]) -> tuple[bytes, bytes]:
    """The wrapped data key and the sealed details (name, id_no, mobile) of a person."""
    data_key = keyring.new_data_key()
    return data_key.wrapped, data_key.seal(json.dumps(details, ensure_ascii=False).encode(), _context(person_id))


def read_person(row: asyncpg.Record, keyring: Keyring) -> Person:
    """A row of `COLUMNS`, opened."""
    details = json.loads(keyring.unwrap(row["data_key"]).open(row["sealed"], _context(row["id"])))
    level, department = row["real_name_level"], row["department"]
    return Person(
        id=row["id"],
        kind=Kind(row["kind"]),
        account=row["account"],
        name=details["name"],
        id_no=details.get("id_no"),
        mobile=details.get("mobile"),
        real_name_level=None if level is None else RealNameLevel(level),
        post=None if department is None else Post(department, row["area"], tuple(row["matters"]), row["role"]),
    )


def _context(person_id: UUID) -> bytes:
    return b"person:" + person_id.bytes


def access_claims(person: Person, grant: Grant, *, userinfo: str, pairwise: Mapping[str, bytes]) -> dict[str, Any]:
    """What an access token says of a person: no name and no number, only what its audience must decide on.

    With the scope `openid` the token is also good for identity's own userinfo endpoint (audience `userinfo`).
    """
    also_userinfo = "openid" in grant.scope.split() and grant.audience != userinfo
    audience = [grant.audience, userinfo] if also_userinfo else grant.audience
    claims: dict[str, Any] = {
        "sub": str(person.id),
        "aud": audience,
        "client_id": grant.client_id,
        "scope": grant.scope,
        "auth_time": int(grant.auth_time.timestamp()),
        "grant": str(grant.id),
        "kind": person.kind,
    }
    if person.real_name_level is not None:
        claims["real_name_level"] = person.real_name_level
    if person.id_no is not None and grant.audience in pairwise:
        claims["id_proof"] = id_proof(pairwise[grant.audience], person.id_no)
    if person.post is not None:
        claims["post"] = post_claim(person.post)
    return claims


def post_claim(post: Post) -> dict[str, Any]:
    return {"department": post.department, "area": post.area, "matters": list(post.matters), "role": post.role}


def id_claims(person: Person, grant: Grant) -> dict[str, Any]:
    """What an id token says: that this person logged in, when, and for whom."""
    claims: dict[str, Any] = {
        "sub": str(person.id),
        "aud": grant.client_id,
        "auth_time": int(grant.auth_time.timestamp()),
    }
    return claims if grant.nonce is None else {**claims, "nonce": grant.nonce}


def userinfo_claims(person: Person, scope: frozenset[str]) -> dict[str, Any]:
    """What the userinfo endpoint tells a client, by scope."""
    claims: dict[str, Any] = {"sub": str(person.id)}
    if "profile" in scope:
        claims |= {"name": person.name, "preferred_username": person.account, "kind": person.kind}
        if person.real_name_level is not None:
            claims["real_name_level"] = person.real_name_level
        if person.post is not None:
            claims["post"] = post_claim(person.post)
    return claims
