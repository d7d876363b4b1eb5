"""Keep client secrets as keyed hashes. The old hashes cannot be turned into new ones: the next start reads the file."""

from yijian_common.migrations import execute

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute("""
        DELETE FROM client_secrets;
        ALTER TABLE client_secrets ALTER COLUMN secret_hash TYPE bytea USING secret_hash::bytea;
    """)
