"""Alembic's environment: the application's own engine and tables, nothing else."""

from __future__ import annotations

from alembic import context
from flask import current_app

from app.store.models import Moment, metadata

engine = current_app.extensions["migrate"].db.engine


def plain_moments(kind: str, item: object, _context: object) -> str | bool:
    """A migration must not change when our own column type does."""
    if kind == "type" and isinstance(item, Moment):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Migrate over one connection. SQLite cannot alter constraints, so tables are rebuilt there."""
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
            render_item=plain_moments,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("migrations run against a database, not as a script")
run()
