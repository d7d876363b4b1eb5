"""Applications, their timelines, disclosures and claims, beside the tables of messaging and common."""

from yijian_common import idempotency, key_sets
from yijian_common.migrations import execute
from yijian_messaging.postgres import SCHEMA_V1

revision = "0001"
down_revision = None

APPROVAL = """
CREATE TABLE life_event (
    digest    text PRIMARY KEY,
    code      text        NOT NULL,
    canonical text        NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now()
);

-- One aggregate, one row. `state` holds nothing personal; `answers` is sealed under the application's data key.
CREATE TABLE application (
    id           uuid PRIMARY KEY,
    life_event   text        NOT NULL,
    digest       text        NOT NULL,
    applicant    text        NOT NULL,
    status       text        NOT NULL,
    version      integer     NOT NULL,
    state        text        NOT NULL,
    answers      bytea       NOT NULL,
    data_key     bytea       NOT NULL,
    traceparent  text,
    submitted_at timestamptz NOT NULL,
    next_look_at timestamptz
) WITH (fillfactor = 60, toast_tuple_target = 4080);
CREATE INDEX application_next_look ON application (next_look_at) WHERE next_look_at IS NOT NULL;

CREATE TABLE application_party (
    party          bytea NOT NULL,
    application_id uuid  NOT NULL,
    PRIMARY KEY (party, application_id)
);

CREATE TABLE application_form (
    application_id uuid    NOT NULL,
    revision       integer NOT NULL,
    sealed         bytea   NOT NULL,
    PRIMARY KEY (application_id, revision)
);

CREATE TABLE timeline (
    application_id uuid    NOT NULL,
    version        integer NOT NULL,
    entry          text    NOT NULL,
    PRIMARY KEY (application_id, version)
);

CREATE TABLE disclosure (
    task_id        uuid PRIMARY KEY,
    application_id uuid        NOT NULL,
    department     text        NOT NULL,
    matter         text        NOT NULL,
    parts          text        NOT NULL,
    disclosed_at   timestamptz NOT NULL
);

-- What only one living application may hold, by keyed hash.
CREATE TABLE claim (
    digest         bytea PRIMARY KEY,
    application_id uuid NOT NULL
);
CREATE INDEX claim_application ON claim (application_id);
"""


def upgrade() -> None:
    for script in (SCHEMA_V1, idempotency.CREATE_TABLE, key_sets.CREATE_TABLE, APPROVAL):
        execute(script)
