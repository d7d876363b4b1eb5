"""Who takes part in an application, as data-exchange knows people: sealed like everything personal."""

from yijian_common.migrations import execute

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute("ALTER TABLE application ADD COLUMN people bytea NOT NULL DEFAULT ''")
