"""Disclosures lie by their application, whose id begins with the time.

By a task's id alone ten entries of each application go to random places of an index that in the end leaves memory.
"""

from yijian_common.migrations import execute

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    execute("ALTER TABLE disclosure DROP CONSTRAINT disclosure_pkey, ADD PRIMARY KEY (application_id, task_id)")
