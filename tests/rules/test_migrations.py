"""Migrations: sequential, one head, reversible, and they match the models, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask_migrate import check, downgrade, upgrade

from tests.conftest import DATABASES, database_url
from tests.schema import MIGRATIONS, migration_app


def test_migrations_are_numbered_one_after_the_other_with_one_head() -> None:
    names = sorted(path.name for path in Path(MIGRATIONS, "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+\.py", name) for name in names)
    assert ScriptDirectory(MIGRATIONS).get_heads() == [names[-1][:4]]


@pytest.mark.parametrize("kind", DATABASES)
def test_the_schema_matches_the_models_and_can_be_taken_back(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    app = migration_app(database_url(request, kind, tmp_path))
    with app.app_context():
        check(directory=MIGRATIONS)  # exits when the models and the migrations differ
        downgrade(directory=MIGRATIONS, revision="base")
        upgrade(directory=MIGRATIONS)
        check(directory=MIGRATIONS)
        app.extensions["migrate"].db.engine.dispose()
