"""The authorisations of an application are let go of by its id: two days of them are too many to look through."""

from yijian_common.migrations import execute

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    execute("CREATE INDEX authorisation_application ON authorisation (application_id)")
