"""A disclosure keeps the names of its fields: what they are called, come from and rest on is the life event's to say.

The texts of laws and titles would be nine tenths of the row, ten times an application.
"""

from yijian_common.migrations import execute

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    execute(
        """
        ALTER TABLE disclosure ADD COLUMN fields text;
        UPDATE disclosure SET fields = (
            SELECT coalesce(string_agg(field ->> 'name', ','), '')
            FROM jsonb_array_elements(parts::jsonb) part, jsonb_array_elements(part -> 'fields') field
        );
        ALTER TABLE disclosure ALTER COLUMN fields SET NOT NULL, DROP COLUMN parts;
        """
    )
