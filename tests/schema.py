"""Running the real migrations for tests."""

from __future__ import annotations

from flask import Flask
from flask_migrate import Migrate, upgrade

from app.config import REPOSITORY
from app.store.models import db

MIGRATIONS = str(REPOSITORY / "migrations")


def migration_app(url: str) -> Flask:
    """The smallest application the migrations run in."""
    app = Flask("migrations")
    app.config["SQLALCHEMY_DATABASE_URI"] = url.replace("postgresql://", "postgresql+psycopg://")
    db.init_app(app)
    Migrate(app, db, directory=MIGRATIONS)
    return app


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest schema."""
    app = migration_app(url)
    with app.app_context():
        upgrade(directory=MIGRATIONS)
        db.engine.dispose()
