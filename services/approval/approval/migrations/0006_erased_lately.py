"""Whom to look for once more: an access token lasts on for minutes after its person was erased."""

from yijian_common.migrations import execute

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    execute(
        """
        -- By keyed hashes, of the identity number and of the account.
        CREATE TABLE erased_lately (
            party         bytea PRIMARY KEY,
            account       bytea       NOT NULL,
            look_again_at timestamptz NOT NULL
        );
        CREATE INDEX erased_lately_due ON erased_lately (look_again_at);
        """
    )
