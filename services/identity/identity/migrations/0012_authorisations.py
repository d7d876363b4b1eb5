"""Asking another person for their word by a one-time code, and the texts that carry the codes."""

from yijian_common.migrations import execute

revision = "0012"
down_revision = "0011"

TABLES = """
-- `giver_id` is NULL when nobody is so named, or may not be texted again: to whoever asks both look the same.
CREATE TABLE authorisation_requests (
    id         uuid PRIMARY KEY,
    actor_id   uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    giver_id   uuid REFERENCES people (id) ON DELETE CASCADE,
    life_event text NOT NULL,
    code_index bytea NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    asked_at   timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX authorisation_requests_by_actor ON authorisation_requests (actor_id, asked_at);
CREATE INDEX authorisation_requests_by_giver ON authorisation_requests (giver_id, asked_at);
CREATE INDEX authorisation_requests_by_age ON authorisation_requests (expires_at);

-- Texts that wait to be sent; mobile and text are sealed, and go when they are sent or have become useless.
CREATE TABLE texts (
    id          uuid PRIMARY KEY,
    person_id   uuid REFERENCES people (id) ON DELETE CASCADE,
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    attempts    integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX texts_by_turn ON texts (next_try_at);
CREATE INDEX texts_by_person ON texts (person_id);
"""


def upgrade() -> None:
    execute(TABLES)
