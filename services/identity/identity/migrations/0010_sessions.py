"""Sessions that a person sees and ends; grants that are refreshed, revoked and end with their session.

Sessions and codes of before cannot be told apart by device: whoever is logged in logs in once more.
"""

from yijian_common.migrations import execute

revision = "0010"
down_revision = "0003"

TABLES = """
-- Every login that began before this instant is over: its sessions, grants and tokens.
ALTER TABLE people ADD COLUMN signed_out_at timestamptz;

DELETE FROM authorization_codes;
DELETE FROM login_sessions;

-- A login in one browser or app. `expires_at` ends the cookie; what was granted by it may go on until it is ended.
ALTER TABLE login_sessions
    ADD COLUMN id uuid NOT NULL UNIQUE,
    ADD COLUMN device text NOT NULL,
    ADD COLUMN ended_at timestamptz;
CREATE INDEX login_sessions_by_person ON login_sessions (person_id);

ALTER TABLE authorization_codes
    DROP COLUMN revoked_at,
    ADD COLUMN session_id uuid NOT NULL REFERENCES login_sessions (id) ON DELETE CASCADE;
CREATE INDEX authorization_codes_by_session ON authorization_codes (session_id);

-- What one client was given by one redeemed code: access tokens name it, and one lineage of refresh tokens belongs to
-- it. `generation` is the newest token's place in the lineage; `secret` (sealed) makes its tokens, and there is none
-- without offline access and none any more once the grant has ended.
CREATE TABLE grants (
    id         uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES login_sessions (id) ON DELETE CASCADE,
    person_id  uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    client_id  text NOT NULL,
    audience   text NOT NULL,
    scope      text NOT NULL,
    auth_time  timestamptz NOT NULL,
    began_at   timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    generation integer NOT NULL DEFAULT 0,
    rotated_at timestamptz,
    secret     bytea
);
CREATE INDEX grants_by_session ON grants (session_id);
CREATE INDEX grants_by_person ON grants (person_id);
CREATE INDEX grants_by_age ON grants (expires_at);
"""


def upgrade() -> None:
    execute(TABLES)
