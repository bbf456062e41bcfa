"""How Alembic runs here: on the connection that `service.store.schema` hands over, all steps in one transaction."""

from __future__ import annotations

from alembic import context

from service.store.order_tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True, render_as_batch=True)
context.run_migrations()
