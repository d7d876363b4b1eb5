"""For a service's revisions: SQL as it would stand in a script, several statements at a time."""

from typing import Any

from alembic import op


def execute(script: str) -> None:
    """Run `script` in the migration's transaction.

    `op.execute` prepares what it is given, and PostgreSQL prepares only one statement; this sends the script as it is.
    """
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda held: held.execute(script))
