"""Migrations: sequential, one head, reversible, and they match the models, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.store import ledger, outbox
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


@pytest.mark.parametrize("kind", DATABASES)
def test_money_that_was_booked_before_migration_0002_is_still_accounted_for(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = database_url(request, kind, tmp_path)
    app = migration_app(url)
    with app.app_context():
        engine = app.extensions["migrate"].db.engine
        downgrade(directory=MIGRATIONS, revision="0001")
        with engine.begin() as tx:
            for statement in filter(str.strip, BEFORE_0002.split(";")):
                tx.execute(text(statement))
        upgrade(directory=MIGRATIONS, revision="0004")  # sealing (0006) needs the keys of the vault
        with engine.connect() as tx:
            assert ledger.balance(tx).ok and ledger.entries_of(tx, "ord_1") == [
                ("payment_received", "wechat", 5000),
                ("payment_received", "in_transit", -5000),
            ]
            assert outbox.waiting(tx) == {"deliver": 1}
        with pytest.raises(DBAPIError), engine.begin() as tx:  # history is still append-only
            tx.execute(text("UPDATE ledger_entries SET amount_fen = 1"))
        downgrade(directory=MIGRATIONS, revision="0001")
        with engine.connect() as tx:
            orders = tx.execute(text("SELECT order_id, amount_fen FROM ledger_entries ORDER BY id")).all()
        assert [tuple(row) for row in orders] == [("ord_1", 5000), ("ord_1", -5000)]
        engine.dispose()


BEFORE_0002 = """
INSERT INTO users (id, created_at) VALUES ('usr_1', '2026-11-01 00:00:00');
INSERT INTO cards (id, user_id, card_number, city, mode, registered, position, created_at)
 VALUES ('crd_1', 'usr_1', '3104870300000000001', 'guangzhou', 'account', true, 1, '2026-11-01 00:00:00');
INSERT INTO orders (id, user_id, beneficiary_id, payer_openid, card_id, amount_fen, fee_fen, method, channel,
  state, client_key, request_hash, read_back, created_at, expires_at)
 VALUES ('ord_1', 'usr_1', 'usr_1', 'o', 'crd_1', 5000, 0, 'wechat_balance', 'h5', 'paid', 'key', 'hash', 'r',
  '2026-11-01 00:00:00', '2026-11-01 00:10:00');
INSERT INTO ledger_entries (id, order_id, event, account, amount_fen, at)
 VALUES ('ent_1', 'ord_1', 'payment_received', 'wechat', 5000, '2026-11-01 00:01:00'),
        ('ent_2', 'ord_1', 'payment_received', 'in_transit', -5000, '2026-11-01 00:01:00');
INSERT INTO outbox (id, topic, order_id, attempts, next_at)
 VALUES ('out_1', 'deliver', 'ord_1', 0, '2026-11-01 00:01:00')
"""
