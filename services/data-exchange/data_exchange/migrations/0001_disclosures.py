"""What was disclosed, to be shown to the people it was about; the ledger itself is made by provisioning."""

from yijian_common import idempotency, key_sets
from yijian_common.migrations import execute
from yijian_messaging.postgres import SCHEMA_V1

revision = "0001"
down_revision = None

DISCLOSURES = """
-- `sealed` holds the details and the leaf's salt, under the data key of the case.
CREATE TABLE disclosure (
    id           uuid PRIMARY KEY,
    case_id      uuid        NOT NULL,
    disclosed_at timestamptz NOT NULL,
    sealed       bytea       NOT NULL
) WITH (toast_tuple_target = 8160);
-- It cannot be compressed, and beside its row it would cost a second table's rows and index entries.
ALTER TABLE disclosure ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX disclosure_case ON disclosure (case_id, disclosed_at);

CREATE TABLE case_key (
    case_id  uuid PRIMARY KEY,
    data_key bytea NOT NULL
);

-- Who plays which role in a case; `person` is the keyed hash of the reference under which we know somebody.
CREATE TABLE case_person (
    person  bytea NOT NULL,
    case_id uuid  NOT NULL,
    role    text  NOT NULL,
    PRIMARY KEY (person, case_id, role)
);
CREATE INDEX case_person_case ON case_person (case_id);

-- Who signs the ledger. A signer that was thought dead and comes back has an epoch that no longer counts.
CREATE TABLE ledger_signer (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    owner      text,
    epoch      bigint      NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO ledger_signer DEFAULT VALUES;
"""


def upgrade() -> None:
    for script in (SCHEMA_V1, idempotency.CREATE_TABLE, key_sets.CREATE_TABLE, DISCLOSURES):
        execute(script)
