"""Remember which accounts files were loaded where fictitious people are allowed."""

from yijian_common.migrations import execute

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute("ALTER TABLE loaded_files ADD COLUMN fictitious_allowed boolean NOT NULL DEFAULT true")
