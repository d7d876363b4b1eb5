"""From here on tasks' ids begin like their application's (docs/decisions/0009); a database with other ones is refused.

Under their new ids departments would take the same tasks for others, and decide them twice.
"""

from yijian_common.migrations import execute

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM disclosure WHERE substr(task_id::text, 15, 1) = '5') THEN
                RAISE EXCEPTION 'this database has tasks whose ids were made in a way that is given up (CHANGELOG)'
                    USING HINT = 'Start anew: `yijian clean`, then `yijian up`.';
            END IF;
        END $$
    """)
