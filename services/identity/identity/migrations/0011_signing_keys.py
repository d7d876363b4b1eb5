"""Keys that take turns: each says from when on it signs, so that every replica changes over at the same instant."""

from yijian_common.migrations import execute

revision = "0011"
down_revision = "0010"

TABLES = """
-- The key that signs is the newest whose `signs_from` has come. `sealed` goes as soon as a key has signed its last.
ALTER TABLE signing_keys ADD COLUMN signs_from timestamptz;
UPDATE signing_keys SET signs_from = created_at;
ALTER TABLE signing_keys
    ALTER COLUMN signs_from SET NOT NULL,
    ALTER COLUMN sealed DROP NOT NULL,
    DROP COLUMN signing;
CREATE UNIQUE INDEX signing_keys_by_turn ON signing_keys (signs_from);
"""


def upgrade() -> None:
    execute(TABLES)
