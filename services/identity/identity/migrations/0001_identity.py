"""People, their posts, clients, logins, authorization codes and signing keys."""

from yijian_common.migrations import execute

revision = "0001"
down_revision = None

TABLES = """
-- A citizen or an official. What identifies the person is sealed under a data key of its own; `id_index` finds it.
CREATE TABLE people (
    id              uuid PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('CITIZEN', 'OFFICIAL')),
    account         text NOT NULL UNIQUE,
    password_hash   text,
    real_name_level text CHECK (real_name_level IN ('L1', 'L2', 'L3')),
    id_index        bytea UNIQUE,
    data_key        bytea NOT NULL,
    sealed          bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'CITIZEN') = (real_name_level IS NOT NULL))
);
CREATE INDEX people_by_kind ON people (kind, account);

CREATE TABLE posts (
    person_id  uuid PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    department text NOT NULL,
    area       text NOT NULL CHECK (area ~ '^[0-9]{12}$'),
    matters    text[] NOT NULL,
    role       text NOT NULL
);

-- Accounts files that were loaded, by keyed digest, so that a start does not load the same one again.
CREATE TABLE loaded_files (
    digest    bytea PRIMARY KEY,
    loaded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE client_secrets (
    client_id   text PRIMARY KEY,
    secret_hash text NOT NULL
);

-- Failed logins of an account or a source (keyed hash); the lock holds from the last failure that counted.
CREATE TABLE login_failures (
    key_index bytea PRIMARY KEY,
    failures  integer NOT NULL,
    since     timestamptz NOT NULL
);
CREATE INDEX login_failures_by_age ON login_failures (since);

CREATE TABLE login_sessions (
    token_index bytea PRIMARY KEY,
    person_id   uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    auth_time   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX login_sessions_by_age ON login_sessions (expires_at);

CREATE TABLE authorization_codes (
    code_index     bytea PRIMARY KEY,
    grant_id       uuid NOT NULL UNIQUE,
    client_id      text NOT NULL,
    person_id      uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    redirect_uri   text NOT NULL,
    code_challenge text NOT NULL,
    scope          text NOT NULL,
    audience       text NOT NULL,
    nonce          text,
    auth_time      timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz,
    revoked_at     timestamptz
);
CREATE INDEX authorization_codes_by_age ON authorization_codes (expires_at);

-- The private keys are sealed; `public` is the JWK as published.
CREATE TABLE signing_keys (
    kid        text PRIMARY KEY,
    sealed     bytea NOT NULL,
    public     text NOT NULL,
    signing    boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX one_key_signs ON signing_keys (signing) WHERE signing;
"""


def upgrade() -> None:
    execute(TABLES)
