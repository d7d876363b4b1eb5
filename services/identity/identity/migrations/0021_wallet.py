"""Whose documents there are, the documents, who looked at them, and who was erased."""

from yijian_common import idempotency
from yijian_common.migrations import execute

revision = "0021"
down_revision = "0020"

WALLET = """
-- Somebody, or a family, whom documents belong to: with an account or without one. A person is found by the keyed hash
-- of the identity number (the same as in `people`); a newborn has none yet. `sealed` holds the number.
CREATE TABLE holder (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('PERSON', 'FAMILY')),
    id_index   bytea UNIQUE,
    data_key   bytea NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Who is meant by "the second child of this application"; 0 is its family.
CREATE TABLE case_holder (
    application_id uuid     NOT NULL,
    child          smallint NOT NULL,
    holder_id      uuid     NOT NULL,
    PRIMARY KEY (application_id, child)
);
CREATE INDEX case_holder_by_holder ON case_holder (holder_id);

-- The parents of a child or a family. Without `registered_at` a document named them, and the register did not yet.
-- `sealed` holds the parent's number under the holder's data key. That a child has come of age is computed.
CREATE TABLE guardian (
    person        bytea NOT NULL,
    holder_id     uuid  NOT NULL,
    role          text  NOT NULL CHECK (role IN ('MOTHER', 'FATHER')),
    sealed        bytea NOT NULL,
    registered_at timestamptz,
    PRIMARY KEY (person, holder_id)
);
CREATE INDEX guardian_by_holder ON guardian (holder_id);

-- What a status is follows from the instants: nothing here says "expired". `sealed` holds number and identifier.
CREATE TABLE document (
    id               uuid PRIMARY KEY,
    holder_id        uuid        NOT NULL,
    application_id   uuid        NOT NULL,
    department       text        NOT NULL,
    matter           text        NOT NULL,
    kind             text        NOT NULL,
    name             text        NOT NULL,
    version          smallint    NOT NULL,
    identifier_index bytea       NOT NULL,
    sealed           bytea       NOT NULL,
    issued_at        timestamptz NOT NULL,
    expires_at       timestamptz,
    replaced_at      timestamptz,
    lost_at          timestamptz,
    revoked_at       timestamptz,
    revocation       bytea
);
CREATE INDEX document_by_holder ON document (holder_id, kind);
CREATE INDEX document_by_identifier ON document (identifier_index);

-- Every look at a complete document, and every showing. `sealed` says who, under the holder's data key.
CREATE TABLE document_look (
    id          uuid PRIMARY KEY,
    document_id uuid        NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    person_id   uuid,
    looked_at   timestamptz NOT NULL,
    sealed      bytea       NOT NULL
);
CREATE INDEX document_look_by_document ON document_look (document_id, id);
CREATE INDEX document_look_by_person ON document_look (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX document_look_by_age ON document_look (looked_at);

CREATE TABLE presentation (
    id          uuid PRIMARY KEY,
    token_index bytea       NOT NULL UNIQUE,
    document_id uuid        NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    person_id   uuid        NOT NULL,
    sealed      bytea       NOT NULL,
    opens_left  smallint    NOT NULL CHECK (opens_left >= 0),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX presentation_by_document ON presentation (document_id);
CREATE INDEX presentation_by_person ON presentation (person_id);
CREATE INDEX presentation_by_age ON presentation (expires_at);

-- How often an address asked about identifiers.
CREATE TABLE identifier_lookup (
    source_index bytea PRIMARY KEY,
    lookups      integer     NOT NULL,
    since        timestamptz NOT NULL
);
CREATE INDEX identifier_lookup_by_age ON identifier_lookup (since);

-- Whoever was erased is not written down again by what was said before and arrives late.
CREATE TABLE erased_person (
    person    bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL
);
CREATE INDEX erased_person_by_age ON erased_person (erased_at);

-- Messages that speak of an erased person: their rows in the outbox go as soon as they are sent.
CREATE TABLE erased_message (
    event_id  text PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    for script in (idempotency.CREATE_TABLE, WALLET):
        execute(script)
