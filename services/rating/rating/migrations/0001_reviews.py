"""Invitations, reviews, orders and figures, beside the tables of messaging and common."""

from yijian_common import idempotency, key_sets
from yijian_common.migrations import execute
from yijian_messaging.postgres import SCHEMA_V1

revision = "0001"
down_revision = None

RATING = """
-- `person` is a keyed hash of the account; `data_key` opens what the person wrote and goes with an erasure.
CREATE TABLE invitation (
    id             uuid PRIMARY KEY,
    person         bytea       NOT NULL,
    application_id uuid        NOT NULL UNIQUE,
    life_event     text        NOT NULL,
    data_key       bytea       NOT NULL,
    completed_at   timestamptz NOT NULL,
    invited_at     timestamptz NOT NULL,
    closes_at      timestamptz NOT NULL,
    provisional    boolean     NOT NULL,
    next_look_at   timestamptz
);
CREATE INDEX invitation_person ON invitation (person, id);
CREATE INDEX invitation_next_look ON invitation (next_look_at) WHERE next_look_at IS NOT NULL;
-- In an order that no other index has, so that this one is taken whatever the statistics say.
CREATE INDEX invitation_provisional ON invitation (invited_at) WHERE provisional AND next_look_at IS NOT NULL;

-- A department's handling of one matter. A default (nobody said anything in time) stands here, apart from reviews.
CREATE TABLE handling (
    id               uuid PRIMARY KEY,
    invitation_id    uuid     NOT NULL,
    department       text     NOT NULL,
    matter           text     NOT NULL,
    name             text     NOT NULL,
    child            smallint,
    granted          boolean  NOT NULL,
    promised_minutes integer  NOT NULL,
    taken_minutes    integer  NOT NULL,
    visits           smallint NOT NULL,
    online           boolean  NOT NULL,
    defaulted_at     timestamptz
);
CREATE INDEX handling_invitation ON handling (invitation_id);

CREATE TABLE review (
    id            uuid PRIMARY KEY,
    handling_id   uuid        NOT NULL,
    invitation_id uuid        NOT NULL,
    number        smallint    NOT NULL,
    state         text        NOT NULL,
    level         text        NOT NULL,
    options       text[]      NOT NULL,
    marks         text        NOT NULL,
    channel       text        NOT NULL,
    needs_verify  text[]      NOT NULL,
    sealed        bytea       NOT NULL,
    given_at      timestamptz NOT NULL,
    UNIQUE (handling_id, number)
);
CREATE UNIQUE INDEX review_active ON review (handling_id) WHERE state = 'ACTIVE';
CREATE INDEX review_invitation ON review (invitation_id);

-- Owned by rating. It knows its review and invitation for as long as the person wants to be known; its own number, and
-- nothing else, leaves the service.
CREATE TABLE rectification_order (
    id              uuid PRIMARY KEY,
    place           bigint   GENERATED ALWAYS AS IDENTITY UNIQUE,
    review_id       uuid,
    invitation_id   uuid,
    department      text     NOT NULL,
    matter          text     NOT NULL,
    matter_name     text     NOT NULL,
    level           text     NOT NULL,
    options         text[]   NOT NULL,
    marks           text     NOT NULL,
    counted_on      date     NOT NULL,
    fact            uuid     NOT NULL,
    state           text     NOT NULL,
    round           smallint NOT NULL,
    needs_verify    text[]   NOT NULL,
    verify_until    timestamptz,
    proposed_by     text,
    proposed_reason text     NOT NULL DEFAULT '',
    assigned_at     timestamptz,
    due_at          timestamptz,
    supervised_at   timestamptz,
    provisional     boolean  NOT NULL DEFAULT false,
    outcome         text,
    reason          text     NOT NULL DEFAULT '',
    answered_at     timestamptz,
    sealed_answer   bytea,
    callback_until  timestamptz,
    closed_at       timestamptz,
    next_look_at    timestamptz
);
CREATE UNIQUE INDEX order_review ON rectification_order (review_id);
CREATE INDEX order_invitation ON rectification_order (invitation_id) WHERE invitation_id IS NOT NULL;
CREATE INDEX order_department ON rectification_order (department, place);
CREATE INDEX order_state ON rectification_order (state, place);
CREATE INDEX order_next_look ON rectification_order (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX order_provisional ON rectification_order (assigned_at) WHERE provisional AND next_look_at IS NOT NULL;

CREATE TABLE order_step (
    order_id uuid        NOT NULL,
    number   smallint    NOT NULL,
    at       timestamptz NOT NULL,
    state    text        NOT NULL,
    actor    text        NOT NULL,
    note     text        NOT NULL,
    PRIMARY KEY (order_id, number)
);

-- Each rung of a round is reached once, whoever looks how often.
CREATE TABLE order_escalation (
    order_id uuid        NOT NULL,
    round    smallint    NOT NULL,
    rung     text        NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (order_id, round, rung)
);

-- What everybody may read: its own number, no order's, no instant.
CREATE TABLE publication (
    id           uuid PRIMARY KEY,
    place        bigint  GENERATED ALWAYS AS IDENTITY UNIQUE,
    department   text    NOT NULL,
    matter_name  text    NOT NULL,
    level        text    NOT NULL,
    options      text[]  NOT NULL,
    marks        text    NOT NULL,
    rectified    boolean NOT NULL,
    measures     text    NOT NULL,
    evidence     text[]  NOT NULL,
    published_on date    NOT NULL
);
CREATE INDEX publication_department ON publication (department, place);

-- What happened, to be counted: the only source of the figures. `cause` is a random number that leads to nobody.
CREATE TABLE fact (
    id         bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause      uuid     NOT NULL,
    kind       text     NOT NULL,
    department text     NOT NULL,
    day        date     NOT NULL,
    level      text     NOT NULL DEFAULT '',
    times      integer  NOT NULL DEFAULT 1,
    at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (cause, kind)
);
CREATE INDEX fact_day ON fact (day, department);

CREATE TABLE figure (
    department text    NOT NULL,
    day        date    NOT NULL,
    counts     text    NOT NULL,
    PRIMARY KEY (department, day)
) WITH (fillfactor = 60);

-- Accounts that were forgotten, by keyed hash: what comes late about them invites nobody.
CREATE TABLE erased_person (
    person    bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    for script in (SCHEMA_V1, idempotency.CREATE_TABLE, key_sets.CREATE_TABLE, RATING):
        execute(script)
