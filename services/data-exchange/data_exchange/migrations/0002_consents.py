"""The consent register, and what has to be known of erasures so that nothing that arrives late undoes them."""

from yijian_common.migrations import execute

revision = "0002"
down_revision = "0001"

CONSENTS = """
-- The versioned texts, each once; they say nothing about anybody. `digest` is the SHA-256 of the text.
CREATE TABLE consent_text (
    digest bytea PRIMARY KEY,
    text   text NOT NULL
);

-- `giver` is the keyed hash of the giver's reference; `sealed` opens with the key file alone: one row, one data key.
CREATE TABLE consent (
    id           uuid PRIMARY KEY,
    case_id      uuid        NOT NULL,
    giver        bytea       NOT NULL,
    role         text        NOT NULL,
    basis        text        NOT NULL,
    text_digest  bytea       NOT NULL REFERENCES consent_text (digest),
    given_at     timestamptz NOT NULL,
    valid_until  timestamptz NOT NULL,
    withdrawn_at timestamptz,
    sealed       bytea       NOT NULL
);
CREATE INDEX consent_giver ON consent (giver, given_at, id);
CREATE INDEX consent_case ON consent (case_id);

-- Up to when every withdrawal stands in the topic, and when a worker last said so.
CREATE TABLE withdrawals_told (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    as_of   timestamptz,
    said_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO withdrawals_told DEFAULT VALUES;

CREATE TABLE erasure (
    id        uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    salt      bytea       NOT NULL
);

-- Of these disclosures an erasure destroyed everything (`whole`), or the portions that only erased people could see.
-- Without an erasure: it came when everybody it was about had been erased; there is its leaf, and never were details.
CREATE TABLE erased_disclosure (
    disclosure_id uuid    NOT NULL,
    erasure_id    uuid    REFERENCES erasure (id),
    whole         boolean NOT NULL,
    UNIQUE NULLS NOT DISTINCT (disclosure_id, erasure_id)
);
CREATE INDEX erased_disclosure_erasure ON erased_disclosure (erasure_id);

-- For as long as something said before an erasure may still arrive: who it was, and which roles nobody plays now.
CREATE TABLE erased_person (
    person    bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL
);
CREATE INDEX erased_person_at ON erased_person (erased_at);
CREATE TABLE erased_role (
    case_id   uuid        NOT NULL,
    role      text        NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (case_id, role)
);
CREATE INDEX erased_role_at ON erased_role (erased_at);
"""


def upgrade() -> None:
    execute(CONSENTS)
