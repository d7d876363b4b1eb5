"""Messages in and out: the tables of the messaging library."""

from yijian_common.migrations import execute
from yijian_messaging.postgres import SCHEMA_V1

revision = "0020"
down_revision = "0003"


def upgrade() -> None:
    execute(SCHEMA_V1)
