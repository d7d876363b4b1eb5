"""Alembic's entry: the connection comes from `yijian_common.database.migrate`, and each revision is plain SQL."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
